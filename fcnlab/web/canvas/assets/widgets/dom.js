// @ts-check

/** Stroked outlines in a box of 16 x 16. */
const ICONS = {
  undo: "M5.5 3 2.5 6l3 3M3 6h6.5a4 4 0 0 1 0 8H6",
  redo: "M10.5 3l3 3-3 3M13 6H6.5a4 4 0 0 0 0 8H10",
  clear: "M3 4.5h10M6.5 4V2.5h3V4M4.5 4.5l.6 9h5.8l.6-9M6.8 7v4M9.2 7v4",
  remove: "M6.5 2.5a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM9.5 13h5",
  fit: "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10M5.5 5.5h5v5h-5z",
  eye: "M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM8 6a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
  eyeOff: "M3 3l10 10M4.2 5.1C2.5 6.3 1.5 8 1.5 8S4 12.5 8 12.5c1.1 0 2-.3 2.9-.7M6.7 3.7C7.1 3.6 7.5 3.5 8 3.5c4 0 6.5 4.5 6.5 4.5s-.6 1.1-1.7 2.2",
  contour: "M8 2.5c3.5 0 5.5 2 5 5s-1.5 6-5 6-5.5-2-5-5 1.5-6 5-6z",
  fill: "M8 2.5c3.5 0 5.5 2 5 5s-1.5 6-5 6-5.5-2-5-5 1.5-6 5-6zM4 11l6.5-7.5M6.5 13l6-7M3.3 7.5 7 3.3",
  sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6zM8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9",
  previous: "M10 3 5 8l5 5",
  next: "M6 3l5 5-5 5",
  check: "M3 8.5 6.5 12 13 4.5",
  unticked: "M4.5 3h7A1.5 1.5 0 0 1 13 4.5v7a1.5 1.5 0 0 1-1.5 1.5h-7A1.5 1.5 0 0 1 3 11.5v-7A1.5 1.5 0 0 1 4.5 3z",
  ticked: "M4.5 3h7A1.5 1.5 0 0 1 13 4.5v7a1.5 1.5 0 0 1-1.5 1.5h-7A1.5 1.5 0 0 1 3 11.5v-7A1.5 1.5 0 0 1 4.5 3zM5.2 8.2 7.2 10.2 10.8 6",
  close: "M4 4l8 8M12 4l-8 8",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  edit: "M3 13l.7-3L10.5 3.2l2.3 2.3L6 12.3 3 13zM9 4.7 11.3 7",
  ask: "M8 1.5v3M8 11.5v3M1.5 8h3M11.5 8h3M8 3.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6z",
  brush: "M13.5 2.5c-3 1.5-5.5 4-7 6.5l1.5 1.5c2.5-1.5 4.5-4.5 5.5-8zM6 9.5c-1.5-.2-2.5.7-2.7 2-.1.9-.6 1.5-1.3 1.8 2 .9 4.7.3 5.2-2",
  eraser: "M8.8 3 13 7.2 7.8 12.4H5.2L3 10.2a1 1 0 0 1 0-1.4zM5.8 6l4.2 4.2M7 13.5h6.5",
  order: "M4.5 3v10M2.5 11l2 2 2-2M9 4h5M9 8h3.5M9 12h2",
  keys: "M1.5 4h13v8h-13zM4 6.5h.01M6.5 6.5h.01M9 6.5h.01M11.5 6.5h.01M5 9.5h6",
  reopen: "M12.8 6A5.2 5.2 0 1 0 13 9.5M13 3v3.2H9.8",
  image: "M2 3h12v10H2zM2 11l3.5-3.5L9 11l2-2 3 3M10.5 6h.01",
};

/** @typedef {keyof typeof ICONS} IconName */

/** @param {IconName} name @returns {SVGSVGElement} */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/**
 * An element. Strings become text nodes, never markup.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | number | boolean | ((event: any) => void)>} [properties] attributes; functions listen
 * @param {...(Node | string | null)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false) element.setAttribute(name, String(value));
  }
  for (const child of children) if (child !== null) element.append(child);
  return element;
}

/**
 * A button that leaves the keyboard to the picture when it is clicked. It is called by the words on it, which people who
 * speak to their computer read out; one without words by its title.
 * @param {string} title what it does, and its key in brackets
 * @param {IconName | null} symbol
 * @param {() => void} act
 * @param {{text?: string, key?: string, class?: string}} [options] key: shown before the text
 */
export function button(title, symbol, act, options = {}) {
  return h(
    "button",
    {
      type: "button",
      title,
      ...(options.text || options.key ? {} : { "aria-label": withoutKey(title) }),
      class: `button ${options.class ?? ""}`.trim(),
      click: act,
      mousedown: (/** @type {MouseEvent} */ event) => event.preventDefault(),
    },
    symbol ? icon(symbol) : null,
    options.key ? h("kbd", {}, options.key) : null,
    options.key ? " " : null,
    options.text ? h("span", { class: "label" }, options.text) : null,
  );
}

/** A title without the key that it names in brackets. @param {string} title */
export function withoutKey(title) {
  return title.replace(/ \(.*\)$/, "");
}

/**
 * Steer a list that was reached by Tab: arrows, Home and End move in it, Enter and Space choose.
 * @param {HTMLElement} list
 * @param {string} items only keys on what this selects are meant; the list itself, or things in it
 * @param {{onStep: (step: number) => void, onChoose: () => void}} actions the step to the first and to the last is endless
 */
export function onArrows(list, items, { onStep, onChoose }) {
  list.addEventListener("keydown", (event) => {
    const target = /** @type {Element} */ (event.target);
    if (!target.matches(items) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^Arrow(Right|Down)$/.test(event.key)) onStep(1);
    else if (/^Arrow(Left|Up)$/.test(event.key)) onStep(-1);
    else if (event.key === "Home") onStep(-Infinity);
    else if (event.key === "End") onStep(Infinity);
    else if (event.key === "Enter" || event.key === " ") onChoose();
    else return;
    event.preventDefault();
  });
}

/** Change the text only when it differs, so that screen readers and layout stay calm. @param {Element} element @param {string} text */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** @param {Element} element @param {IconName} name */
export function swapIcon(element, name) {
  const old = element.querySelector("svg");
  if (old?.getAttribute("data-name") === name) return;
  const fresh = icon(name);
  fresh.setAttribute("data-name", name);
  if (old) old.replaceWith(fresh);
  else element.prepend(fresh);
}
