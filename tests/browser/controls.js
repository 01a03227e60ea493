/*
 * Numbers every visible thing that reacts to a click, and answers {number: what it is}.
 *
 * A radio group is one stop of Tab. What lies in an inert or hidden layer is not there. Something that polls reacts to
 * time and not to a click. A clickable that cannot take the focus counts as the control around it or in it, if there
 * is one; if not, it is listed as itself, and Tab will never come to it.
 */
() => {
  const NATIVE = "a[href], button, input, select, textarea, summary";
  const CLICKABLE = `${NATIVE}, [x-on\\:click], [hx-get], [hx-post], [role=button], [onclick]`;
  const FOCUSABLE = `${NATIVE}, [tabindex='0']`;
  const IGNORED = "input[type=hidden], :disabled, [hx-trigger^='every'], [hx-trigger^='load'], [hx-trigger^='intersect']";
  const found = {};
  const radios = new Set();
  let number = 0;

  const isSeen = (element) => {
    const box = element.getBoundingClientRect();
    const visible = element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    return visible && box.width > 1 && box.height > 1 && !element.closest("[inert]");
  };

  for (const element of document.querySelectorAll(CLICKABLE)) {
    if (element.matches(IGNORED) || !isSeen(element)) continue;
    if (element.matches("[tabindex='-1']") && !element.matches("[x-on\\:click], [onclick]")) continue;
    if (element.type === "radio") {
      if (radios.has(element.name)) continue;
      radios.add(element.name);
    }
    const around = element.matches(FOCUSABLE) ? element : element.closest(FOCUSABLE);
    const target = around || element.querySelector(FOCUSABLE) || element;
    if (target.dataset.testControl) continue;
    target.dataset.testControl = String(++number);
    found[number] = target.outerHTML.slice(0, 140).replace(/\s+/g, " ");
  }
  return found;
}
