/*
 * The scopes picker (templates/connectors/widgets/scopes.html): chosen scopes in their order, each with what it
 * allows and how sensitive it is, and a searchable list of the catalogue to add from.
 *
 * The textarea stays the form's field: the picker writes into it on every change, one scope per line, and reads it back
 * when somebody has edited it as text. Unknown scopes are taken as they are, with a warning, because Base44 may know
 * what the catalogue does not.
 */
"use strict";

(() => {
  const LEVELS = ["low", "medium", "high", "critical"];
  const ACCESS_GROUPS = [
    ["identity", "Who the person is"],
    ["read", "Read"],
    ["write", "Create and change"],
    ["admin", "Administer"],
    ["offline", "Stay connected"],
    ["", "Added by your team"],
  ];
  const MAXIMUM_SHOWN = 80;

  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  const icon = (name) => {
    const element = make("span", "material-symbols-outlined", name);
    element.setAttribute("aria-hidden", "true");
    return element;
  };

  const capitalised = (word) => word.charAt(0).toUpperCase() + word.slice(1);

  function pip(level) {
    const element = make("span", `pc-pip pc-pip--${level}`);
    element.append(make("span", "pc-sr", "Sensitivity: "), capitalised(level));
    return element;
  }

  /* Scopes are separated by white space or commas in everything that people paste. */
  const split = (text) => text.split(/[\s,]+/).map((part) => part.replace(/^["']+|["']+$/g, "")).filter(Boolean);

  class ScopesPicker {
    constructor(root) {
      this.root = root;
      this.textarea = root.querySelector("textarea");
      this.id = this.textarea.id || "scopes";
      this.catalogue = [];
      this.labels = [...this.textarea.labels];
      this.active = -1;
      this.options = [];
      this.build();
      this.setCatalogue(JSON.parse(root.querySelector("[data-scopes-catalogue] script")?.textContent || "[]"));
      this.followType();
    }

    get scopes() {
      return split(this.textarea.value);
    }

    /* --- The parts ------------------------------------------------------------------------------------------- */

    build() {
      this.list = make("ul", "pc-scopes__chosen");
      this.list.setAttribute("aria-label", "Chosen scopes");
      this.summary = make("p", "pc-scopes__summary");
      this.status = make("p", "pc-sr");
      this.status.setAttribute("role", "status");
      this.input = make("input", "pc-input pc-scopes__search");
      this.popup = make("div", "pc-scopes__popup");
      this.popup.id = `${this.id}_options`;
      this.popup.setAttribute("role", "listbox");
      this.popup.setAttribute("aria-label", "Scopes of the catalogue");
      this.popup.hidden = true;
      Object.assign(this.input, { type: "text", autocomplete: "off", spellcheck: false, id: `${this.id}_search` });
      this.input.placeholder = "Search or paste a scope to add";
      for (const [name, value] of Object.entries({
        role: "combobox",
        "aria-label": "Add a scope",
        "aria-expanded": "false",
        "aria-controls": this.popup.id,
        "aria-autocomplete": "list",
      })) this.input.setAttribute(name, value);
      const search = make("div", "pc-scopes__add");
      search.append(icon("add"), this.input, this.popup);
      this.toggle = make("button", "pc-btn pc-btn--ghost pc-btn--small");
      this.toggle.type = "button";
      const foot = make("div", "pc-scopes__foot");
      foot.append(this.summary, this.toggle);
      this.root.prepend(this.list, search, foot, this.status);
      this.search = search;
      this.showText(false);
      this.listen();
    }

    listen() {
      this.toggle.addEventListener("click", () => this.showText(this.textarea.hidden));
      this.textarea.addEventListener("input", () => this.render());
      this.input.addEventListener("input", () => this.openPopup());
      this.input.addEventListener("click", () => this.openPopup());
      this.input.addEventListener("keydown", (event) => this.onKey(event));
      this.input.addEventListener("blur", () => this.closePopup());
      this.input.addEventListener("paste", (event) => {
        const pasted = split(event.clipboardData.getData("text"));
        if (pasted.length < 2) return;
        event.preventDefault();
        pasted.forEach((scope) => this.add(scope));
      });
      // The input keeps the focus while an option is clicked: a blur would close the list before the click arrives.
      this.popup.addEventListener("mousedown", (event) => event.preventDefault());
      this.popup.addEventListener("click", (event) => {
        const option = event.target.closest("[role=option]");
        if (option) this.choose(this.options.indexOf(option));
      });
    }

    showText(shown) {
      this.textarea.hidden = !shown;
      this.list.hidden = this.search.hidden = shown;
      this.toggle.textContent = shown ? "Back to the list" : "Edit as text";
      for (const label of this.labels) label.htmlFor = shown ? this.textarea.id : this.input.id;
      if (!shown) this.render();
    }

    /* --- The catalogue, which depends on the integration type -------------------------------------------------- */

    setCatalogue(entries) {
      this.catalogue = entries;
      this.known = new Map();
      for (const entry of entries) {
        for (const alias of entry.aliases || []) this.known.set(alias, entry);
      }
      for (const entry of entries) this.known.set(entry.name, entry);
      this.render();
    }

    followType() {
      const url = this.root.dataset.catalogueUrl;
      const select = document.getElementById(this.root.dataset.typeField);
      if (!url || !select) return;
      const load = () => this.loadCatalogue(url, select.value);
      // select2 announces a change through jQuery alone.
      const jquery = window.django && window.django.jQuery;
      if (jquery) jquery(select).on("change", load);
      else select.addEventListener("change", load);
      if (!this.catalogue.length && select.value) load();
    }

    async loadCatalogue(url, type) {
      const asked = (this.asked = Symbol(type));
      let entries = [];
      if (type) {
        try {
          const answer = await fetch(`${url}?${new URLSearchParams({ type })}`, { headers: { Accept: "application/json" } });
          if (!answer.ok) throw new Error(String(answer.status));
          const body = await answer.json();
          entries = Array.isArray(body) ? body : body.catalogue;
        } catch {
          this.say("The catalogue could not be loaded. Scopes can still be typed in.");
        }
      }
      // A slower answer for a type chosen before must not overwrite a newer one.
      if (asked === this.asked) this.setCatalogue(entries);
    }

    /* --- Changing ---------------------------------------------------------------------------------------------- */

    write(scopes, message) {
      this.textarea.value = scopes.map((scope) => `${scope}\n`).join("");
      this.textarea.dispatchEvent(new Event("input", { bubbles: true }));
      this.textarea.dispatchEvent(new Event("change", { bubbles: true }));
      this.say(`${message} ${scopes.length} in all.`);
    }

    add(scope) {
      const scopes = this.scopes;
      if (scopes.includes(scope)) return this.say(`${scope} is in the list already.`);
      return this.write([...scopes, scope], `${scope} added.`);
    }

    remove(scope) {
      this.write(this.scopes.filter((other) => other !== scope), `${scope} removed.`);
    }

    say(message) {
      this.status.textContent = message;
    }

    /* --- Chosen scopes ------------------------------------------------------------------------------------------ */

    render() {
      const scopes = [...new Set(this.scopes)];
      this.list.replaceChildren(...scopes.map((scope) => this.row(scope)));
      const levels = scopes.map((scope) => LEVELS.indexOf(this.known?.get(scope)?.sensitivity)).filter((n) => n >= 0);
      this.summary.replaceChildren(`${scopes.length} scope${scopes.length === 1 ? "" : "s"}`);
      if (levels.length) this.summary.append(" · most sensitive: ", pip(LEVELS[Math.max(...levels)]));
    }

    row(scope) {
      const entry = this.known?.get(scope);
      const row = make("li", "pc-scopes__row");
      const text = make("span", "pc-grow");
      text.append(make("span", "pc-scopes__name", scope));
      if (entry) text.append(make("span", "pc-scopes__title", this.titleOf(entry, scope)));
      if (entry?.note) text.append(make("span", "pc-scopes__title", `Your team: ${entry.note}`));
      const unknown = !entry && this.catalogue.length;
      if (unknown) {
        row.classList.add("pc-scopes__row--unknown");
        text.append(make("span", "pc-scopes__warning", "Not in the catalogue. Base44 may refuse it: check the spelling."));
      }
      const end = make("span", "pc-scopes__end");
      if (entry?.deprecated) end.append(make("span", "pc-badge pc-badge--small pc-badge--warning", "Deprecated"));
      if (entry?.sensitivity) end.append(pip(entry.sensitivity));
      if (unknown) end.append(make("span", "pc-badge pc-badge--small pc-badge--warning", "Unknown"));
      end.append(this.removeButton(scope));
      row.append(text, end);
      return row;
    }

    titleOf(entry, scope) {
      return entry.name === scope ? entry.title : `${entry.title} (another spelling of ${entry.name})`;
    }

    removeButton(scope) {
      const button = make("button", "pc-scopes__remove");
      button.type = "button";
      button.setAttribute("aria-label", `Remove ${scope}`);
      button.append(icon("close"));
      button.addEventListener("click", () => {
        const index = this.scopes.indexOf(scope);
        this.remove(scope);
        const buttons = this.list.querySelectorAll(".pc-scopes__remove");
        (buttons[Math.min(index, buttons.length - 1)] || this.input).focus();
      });
      return button;
    }

    /* --- The list to choose from ---------------------------------------------------------------------------------- */

    openPopup() {
      const words = this.input.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
      const fits = (entry) => {
        const text = [entry.name, entry.title, ...(entry.aliases || [])].join(" ").toLowerCase();
        return words.every((word) => text.includes(word));
      };
      const found = this.catalogue.filter(fits);
      this.options = [];
      const groups = ACCESS_GROUPS.map(([access, label]) => this.group(label, found.filter((e) => e.access === access)));
      const parts = groups.filter(Boolean);
      const typed = this.input.value.trim();
      if (typed && !/\s/.test(typed) && !this.known.has(typed)) parts.push(this.freeOption(typed));
      if (!parts.length) parts.push(make("p", "pc-scopes__none", this.emptyText(words)));
      this.popup.replaceChildren(...parts);
      this.popup.hidden = false;
      this.input.setAttribute("aria-expanded", "true");
      this.activate(words.length && this.options.length ? 0 : -1);
    }

    emptyText(words) {
      if (words.length) return "Nothing matches. Type the whole scope to add it as it is.";
      return "Choose a type first, or type a scope.";
    }

    group(label, entries) {
      const room = MAXIMUM_SHOWN - this.options.length;
      if (!entries.length || room <= 0) return null;
      const group = make("div", "pc-scopes__group");
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", label);
      const head = make("div", "pc-scopes__group-name", label);
      head.setAttribute("aria-hidden", "true");
      group.append(head, ...entries.slice(0, room).map((entry) => this.option(entry)));
      return group;
    }

    option(entry) {
      const chosen = this.scopes.some((scope) => this.known.get(scope) === entry);
      const option = make("div", "pc-scopes__option");
      const text = make("span", "pc-grow");
      text.append(make("span", "pc-scopes__title", entry.title), make("span", "pc-scopes__name", entry.name));
      if (entry.note) text.append(make("span", "pc-scopes__title", `Your team: ${entry.note}`));
      const end = make("span", "pc-scopes__end");
      if (entry.deprecated) end.append(make("span", "pc-badge pc-badge--small pc-badge--warning", "Deprecated"));
      if (entry.sensitivity) end.append(pip(entry.sensitivity));
      option.append(icon(chosen ? "check_box" : "check_box_outline_blank"), text, end);
      return this.asOption(option, entry.name, chosen);
    }

    freeOption(typed) {
      const option = make("div", "pc-scopes__option pc-scopes__option--free");
      const text = make("span", "pc-grow");
      text.append(make("span", "pc-scopes__title", `Add “${typed}” as it is`));
      text.append(make("span", "pc-scopes__warning", "Not in the catalogue. Base44 may refuse it."));
      option.append(icon("add"), text);
      return this.asOption(option, typed, this.scopes.includes(typed));
    }

    asOption(option, scope, chosen) {
      option.id = `${this.id}_option_${this.options.length}`;
      option.dataset.scope = scope;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", String(chosen));
      this.options.push(option);
      return option;
    }

    activate(index) {
      this.options[this.active]?.classList.remove("pc-scopes__option--active");
      this.active = index;
      const option = this.options[index];
      if (!option) return this.input.removeAttribute("aria-activedescendant");
      option.classList.add("pc-scopes__option--active");
      option.scrollIntoView({ block: "nearest" });
      return this.input.setAttribute("aria-activedescendant", option.id);
    }

    choose(index) {
      const option = this.options[index];
      if (!option) return;
      const entry = this.known.get(option.dataset.scope);
      const chosen = this.scopes.find((scope) => (entry ? this.known.get(scope) === entry : scope === option.dataset.scope));
      if (chosen) this.remove(chosen);
      else this.add(option.dataset.scope);
      if (!entry) this.input.value = "";
      this.openPopup();
      this.activate(Math.min(index, this.options.length - 1));
    }

    closePopup() {
      this.popup.hidden = true;
      this.input.setAttribute("aria-expanded", "false");
      this.activate(-1);
    }

    onKey(event) {
      const last = this.options.length - 1;
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        if (this.popup.hidden) this.openPopup();
        else if (event.key === "ArrowDown") this.activate(this.active < last ? this.active + 1 : 0);
        else this.activate(this.active > 0 ? this.active - 1 : last);
      } else if (event.key === "Enter") {
        event.preventDefault(); // Enter in a search must never save the form
        if (!this.popup.hidden) this.choose(this.active);
      } else if (event.key === "Escape" && !this.popup.hidden) {
        event.stopPropagation();
        this.closePopup();
      }
    }
  }

  const start = (root) => {
    if (root.dataset.scopesReady) return;
    root.dataset.scopesReady = "1";
    new ScopesPicker(root);
  };

  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-scopes]").forEach(start));
})();
