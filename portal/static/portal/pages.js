/* The portal's own pages: buttons that say they are at work, the count on "Apply", and the question before removing. */
"use strict";

/* <form data-busy="Looking at Base44">: the pressed button says so, and a second press does nothing. */
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || !(form instanceof HTMLFormElement) || !form.dataset.busy) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "1";
  const button = event.submitter;
  if (!button) return;
  button.dataset.waiting = "";
  button.setAttribute("aria-disabled", "true");
  button.textContent = `${form.dataset.busy}…`;
});

/* A download leaves the page as it is, and the browser's Back brings it out of its memory: ready for another press. */
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});

const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

function ticked(form, mark) {
  return [...form.querySelectorAll(`input[${mark}]:checked`)];
}

function tickedRemovals(form) {
  return ticked(form, "data-removal");
}

/* "Apply 3 changes" counts what is ticked. */
function recount(form) {
  const button = form.querySelector("[data-apply]");
  const label = form.querySelector("[data-count]");
  if (!button || !label) return;
  const count = Number(form.dataset.baseCount || 0) + tickedRemovals(form).length + ticked(form, "data-counted").length;
  label.textContent = count ? plural(count, form.dataset.noun || "change") : "what is ticked";
}

document.addEventListener("change", (event) => {
  const form = event.target instanceof HTMLInputElement ? event.target.form : null;
  if (form && form.matches("[data-plan]")) recount(form);
});

/* Runs before the busy handler: while the question is open nothing is sent. */
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement) || !form.matches("[data-plan]")) return;
  if (event.submitter && ["confirmed", "ask"].includes(event.submitter.name)) return;
  form.querySelector("input[type=hidden][name=only]")?.remove();
  const only = event.submitter && event.submitter.name === "only" ? event.submitter.value : "";
  const chosen = tickedRemovals(form).filter((box) => !only || box.name === `remove-${only}`);
  const dialog = document.querySelector(`dialog[data-confirm-removals="${CSS.escape(form.id)}"]`);
  if (!dialog || !chosen.length) return;
  event.preventDefault();
  dialog.querySelector("[data-names]").replaceChildren(...chosen.map((box) => {
    const item = document.createElement("li");
    item.textContent = box.dataset.removal;
    return item;
  }));
  const live = dialog.querySelector("[data-live-warning]");
  if (live) live.hidden = !chosen.some((box) => "live" in box.dataset);
  if (only) carry(form, "only", only);
  dialog.showModal();
}, true);

/* "Apply this one" is answered in the dialog, whose button has a name of its own: a hidden field says which one. */
function carry(form, name, value) {
  const field = document.createElement("input");
  Object.assign(field, { type: "hidden", name, value });
  form.append(field);
}

for (const form of document.querySelectorAll("form[data-plan]")) recount(form);

/* Unfold writes a chosen file's name into a text field that its own widget has and ours lacks: tell it to leave ours. */
for (const input of document.querySelectorAll("input[type=file]")) input.hasChangeListener = true;
