/* Pages without Alpine follow the theme that was chosen in the admin ("adminTheme"), or the system's. */
"use strict";

(() => {
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    let chosen = "auto";
    try {
      chosen = JSON.parse(localStorage.getItem("adminTheme") || '"auto"');
    } catch {
      chosen = "auto";
    }
    const dark = chosen === "dark" || (chosen !== "light" && system.matches);
    document.documentElement.classList.toggle("dark", dark);
  };
  apply();
  system.addEventListener("change", apply);
})();
