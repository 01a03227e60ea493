/*
 * Lets Unfold 0.91 run under `script-src 'self'; style-src 'self'` and be used by keyboard, and serves the portal's
 * own components (see docs/ui-components.md).
 *
 * Loaded in <head> after htmx and before Unfold's app.js; Alpine is deferred, so "alpine:init" comes after app.js has
 * defined its globals and before Alpine walks the page.
 */
"use strict";

/* --- htmx: no eval, no injected <style> ------------------------------------------------------------------------ */

htmx.config.allowEval = false;
htmx.config.includeIndicatorStyles = false;

document.addEventListener("htmx:configRequest", (event) => {
  const token = document.querySelector("input[name=csrfmiddlewaretoken]");
  if (token && event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = token.value;
});

/* --- Alpine: what its CSP build cannot evaluate, rewritten ------------------------------------------------------ */

/* Expressions with statements, or that read `window` or `localStorage`: [attribute, part of its value, new value]. */
const UNSUPPORTED_EXPRESSIONS = [
  ["x-on:click", "$event.target.tagName", "openRow = !openRow"],
  ["x-bind:action", "window.location", "formAction"],
  ["x-bind:style", "changeListWidth", "{width: changeListWidth + 'px'}"],
  ["x-on:focus", "openSearchResults = true;", "openSearchResults = true"],
  ["x-on:keydown.escape.prevent", "$refs.searchInput.blur()", "escape()"],
];

document.addEventListener("alpine:init", () => {
  for (const [attribute, part, replacement] of UNSUPPORTED_EXPRESSIONS) {
    for (const element of document.querySelectorAll(`[${CSS.escape(attribute)}]`)) {
      if (element.getAttribute(attribute).includes(part)) element.setAttribute(attribute, replacement);
    }
  }
  Alpine.data("portalBody", portalBody(document.body));
  document.body.setAttribute("x-data", "portalBody");
  document.body.removeAttribute("x-init");

  Alpine.data("theme", themeWithFocus);
  Alpine.data("searchForm", window.searchForm);
  Alpine.data("searchCommand", searchCommandWithFocus);
  Alpine.data("searchDropdown", searchDropdownWithEscape);
});

/* The state of <body>: which tab is open, and whether the sidebar is. Unfold writes it as an expression. */
function portalBody(body) {
  const match = /activeTab:\s*'([^']*)'/.exec(body.getAttribute("x-data") || "");
  const isOpen = () => localStorage.getItem("sidebarDesktopOpen") !== "0";
  return () => ({
    activeTab: match ? getCurrentTab() || match[1] : "",
    sidebarMobileOpen: false,
    sidebarDesktopOpen: isOpen(),
    sortRecords: window.sortRecords,
    init() {
      this.$watch("sidebarDesktopOpen", (open) => localStorage.setItem("sidebarDesktopOpen", open ? "1" : "0"));
      this.$watch("sidebarMobileOpen", (open) => {
        if (open) focusFirst(document.getElementById("nav-sidebar"));
      });
      document.addEventListener("keydown", (event) => {
        if (event.key === "Escape") this.sidebarMobileOpen = false;
      });
    },
    get formAction() {
      const url = window.location.pathname + window.location.search;
      return this.activeTab && this.activeTab !== "general" ? `${url}#${this.activeTab}` : url;
    },
  });
}

function themeWithFocus(...args) {
  const data = window.theme(...args);
  const init = data.init;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const classNow = data.themeBindings["x-bind:class"];
  return Object.assign(data, {
    /* Unfold asks the system once; read here, Alpine asks again whenever the system turns dark or light. */
    systemIsDark: system.matches,
    themeBindings: {
      ...data.themeBindings,
      ["x-bind:class"]() {
        void this.systemIsDark;
        return classNow.call(this);
      },
    },
    init() {
      init.call(this);
      system.addEventListener("change", () => (this.systemIsDark = system.matches));
      this.$watch("openModal", (open) => holdFocus(open, document.getElementById("modal-content")));
      this.$watch("filterOpen", (open) => {
        if (open) setTimeout(() => focusFirst(document.getElementById("changelist-filter")), 50);
      });
    },
  });
}

function searchCommandWithFocus() {
  const data = window.searchCommand();
  return Object.assign(data, {
    init() {
      this.$watch("openCommandResults", (open) => holdFocus(open, null));
    },
    /* Enter without a chosen row opens the first one: what people expect of a palette. */
    openChosen(event, keepHistory) {
      if (event.metaKey || event.ctrlKey || !this.items || !this.items.length) return;
      if (!this.currentIndex) this.currentIndex = 1;
      this.selectItem(keepHistory, false);
    },
  });
}

function searchDropdownWithEscape() {
  return Object.assign(window.searchDropdown(), {
    escape() {
      const input = this.$refs.searchInput;
      this.openSearchResults = false;
      if (input.value === "") input.blur();
      else input.value = "";
    },
  });
}

/* --- Focus: into an opened layer, and back to where it came from ------------------------------------------------- */

const FOCUSABLE = "a[href], button:not([disabled]), input:not([type=hidden]):not([disabled]), " +
  "select:not([disabled]), textarea:not([disabled]), [tabindex='0']";
let focusBefore = null;

function focusFirst(container) {
  const first = container && [...container.querySelectorAll(FOCUSABLE)].find((element) => element.offsetParent);
  if (first) first.focus();
}

/* The page behind an open layer is inert: neither Tab nor a screen reader gets out of the layer. */
function holdFocus(open, layer) {
  const page = document.getElementById("page");
  if (open && focusBefore === null) focusBefore = document.activeElement;
  if (page) page.inert = open;
  if (open && layer) setTimeout(() => focusFirst(layer.querySelector("form") || layer), 30);
  if (!open && focusBefore) {
    const target = focusBefore;
    focusBefore = null;
    setTimeout(() => target.isConnected && target.focus(), 0);
  }
}

/* --- Keyboard and screen reader repairs of Unfold's markup ------------------------------------------------------- */

/* What an icon-only control does. The icon font draws these words, so a screen reader would read them out. */
const ICON_NAMES = {
  add: "Add",
  arrow_back: "Back",
  close: "Close",
  computer: "Change theme",
  dark_mode: "Change theme",
  delete: "Delete",
  dock_to_right: "Toggle sidebar",
  filter_list: "Filters",
  hub: "Home",
  light_mode: "Change theme",
  more_horiz: "More actions",
  more_vert: "Related record actions",
  search: "Search",
  star: "Keep in history",
  unfold_more: "Account",
};

function isControl(element) {
  return element.matches("a[href], button, input, select, textarea, summary");
}

function makeOperable(element) {
  if (element.dataset.portalKeyboard || isControl(element)) return;
  element.dataset.portalKeyboard = "1";
  if (!element.hasAttribute("tabindex")) element.tabIndex = 0;
  if (!element.hasAttribute("role")) element.setAttribute("role", "button");
  if (element.id === "changelist-filter-close") element.setAttribute("aria-label", "Close filters");
  element.addEventListener("keydown", (event) => {
    if (event.target !== element || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    element.click();
  });
}

function nameIcon(icon) {
  const control = icon.closest("a, button, [role=button]");
  const name = ICON_NAMES[icon.textContent.trim()];
  if (control && name && control.textContent.trim() === icon.textContent.trim()) {
    if (!control.hasAttribute("aria-label") && !control.title) control.setAttribute("aria-label", name);
  }
  if (control !== icon) icon.setAttribute("aria-hidden", "true");
}

/* select2 puts a box of its own over a <select> and leaves the label behind: the box gets the label's name. */
function nameSelect2(box) {
  const select = box.closest(".select2-container")?.previousElementSibling;
  const label = select instanceof HTMLSelectElement ? select.labels[0] : null;
  const shown = box.querySelector(".select2-selection__rendered");
  if (!label || !shown) return;
  if (!label.id) label.id = `${select.id}_label`;
  // Where many can be chosen, one types into the box itself.
  box.querySelector(".select2-search__field")?.setAttribute("aria-labelledby", label.id);
  box.setAttribute("aria-labelledby", `${label.id} ${shown.id}`);
  shown.setAttribute("aria-labelledby", label.id);
}

function repair(root) {
  if (!(root instanceof Element)) return;
  const all = (selector) => [...(root.matches(selector) ? [root] : []), ...root.querySelectorAll(selector)];
  all("[x-on\\:click]").forEach(makeOperable);
  all(".material-symbols-outlined").forEach(nameIcon);
  all(".simplebar-content-wrapper").forEach((element) => {
    element.setAttribute("aria-label", element.closest("#nav-sidebar") ? "Sections" : "Scrollable area");
  });
  // Django's selector of two boxes names a <span> that has no role, which screen readers then pass over.
  all(".select2-selection").forEach(nameSelect2);
  all("span.help-tooltip[aria-label]").forEach((element) => element.setAttribute("role", "img"));
  all("pre.pc-code[data-language]").forEach(highlight);
}

document.addEventListener("DOMContentLoaded", () => {
  const main = document.getElementById("main") || document.getElementById("page");
  if (main) main.setAttribute("role", "main");
  repair(document.body);
  new MutationObserver((records) => {
    for (const record of records) record.addedNodes.forEach(repair);
  }).observe(document.body, { childList: true, subtree: true });
});

/* --- Components: JSON5 source, dialogs, copying, ticking all ------------------------------------------------------ */

const SOURCE_TOKENS = new RegExp(
  [
    "(?<comment>\\/\\/[^\\n]*|\\/\\*[\\s\\S]*?\\*\\/)",
    "(?<key>(?:\"(?:[^\"\\\\\\n]|\\\\.)*\"|'(?:[^'\\\\\\n]|\\\\.)*'|[A-Za-z_$][\\w$]*)(?=\\s*:))",
    "(?<string>\"(?:[^\"\\\\\\n]|\\\\.)*\"|'(?:[^'\\\\\\n]|\\\\.)*')",
    "(?<literal>[-+]?(?:0[xX][\\da-fA-F]+|\\.?\\d[\\d.]*(?:[eE][-+]?\\d+)?)|\\b(?:true|false|null|NaN|Infinity)\\b)",
  ].join("|"),
  "g",
);

/* Splits a connector file into numbered lines of coloured spans. The text itself stays as it is. */
function highlight(block) {
  if (block.dataset.portalDone) return;
  block.dataset.portalDone = "1";
  const text = block.textContent.replace(/\r\n?/g, "\n").replace(/\n$/, "");
  const code = document.createElement("code");
  let line = null;
  const newLine = () => {
    line = code.appendChild(document.createElement("span"));
    line.className = "pc-code__line";
  };
  const append = (part, kind) => {
    part.split("\n").forEach((piece, index) => {
      if (index) newLine();
      if (!piece) return;
      const node = kind ? document.createElement("span") : document.createTextNode(piece);
      if (kind) {
        node.className = `pc-code__${kind}`;
        node.textContent = piece;
      }
      line.appendChild(node);
    });
  };
  newLine();
  let end = 0;
  for (const match of text.matchAll(SOURCE_TOKENS)) {
    append(text.slice(end, match.index), null);
    append(match[0], Object.keys(match.groups).find((name) => match.groups[name] !== undefined));
    end = match.index + match[0].length;
  }
  append(text.slice(end), null);
  block.replaceChildren(code);
}

document.addEventListener("click", (event) => {
  if (!(event.target instanceof Element)) return;
  const opener = event.target.closest("[data-dialog-open]");
  if (opener) document.getElementById(opener.dataset.dialogOpen)?.showModal();
  if (event.target.closest("[data-dialog-close]")) event.target.closest("dialog")?.close();
  const copier = event.target.closest("[data-copy]");
  if (copier) copyText(copier);
});

async function copyText(button) {
  const source = document.querySelector(button.dataset.copy);
  if (!source) return;
  await navigator.clipboard.writeText(source.innerText);
  const label = button.querySelector("[data-copy-label]") || button;
  const before = label.textContent;
  label.textContent = "Copied";
  setTimeout(() => { label.textContent = before; }, 1500);
}

/* <input type="checkbox" data-check-all="remove"> ticks every checkbox of that name in its form. */
document.addEventListener("change", (event) => {
  const name = event.target instanceof HTMLInputElement ? event.target.dataset.checkAll : undefined;
  if (!name || !event.target.form) return;
  for (const box of event.target.form.querySelectorAll(`input[type=checkbox][name="${CSS.escape(name)}"]`)) {
    if (!box.disabled) box.checked = event.target.checked;
  }
});
