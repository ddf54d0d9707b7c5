// @ts-nocheck
/**
 * As much of a document as the canvas uses, for tests without a browser: elements with attributes, events that bubble,
 * canvases that remember what was drawn. Nothing is laid out: sizes are what a test sets.
 */

import { setMaxListeners } from "node:events";

const REFLECTED = ["id", "title", "type", "href", "src", "alt", "placeholder", "target"];
const SWITCHES = ["hidden", "disabled"];

export class StubEvent {
  constructor(type, rest = {}) {
    Object.assign(this, { type, bubbles: true, defaultPrevented: false, target: null, isStopped: false, key: "", button: 0, detail: 1 }, rest);
  }
  preventDefault() {
    this.defaultPrevented = true;
  }
  stopPropagation() {
    this.isStopped = true;
  }
  composedPath() {
    return this.path ?? [];
  }
}

class Listening {
  listeners = new Map();

  addEventListener(type, listener, options = {}) {
    if (options.signal?.aborted) return;
    const list = this.listeners.get(type) ?? this.listeners.set(type, new Set()).get(type);
    list.add(listener);
    if (!options.signal) return;
    setMaxListeners(0, options.signal);
    options.signal.addEventListener("abort", () => list.delete(listener));
  }
  dispatchEvent(event) {
    event.target ??= this;
    event.path ??= [...ancestors(this), globalThis.document, globalThis.window];
    for (const place of event.bubbles ? event.path : [this]) {
      for (const listener of [...(place?.listeners?.get(event.type) ?? [])]) listener(event);
      if (event.isStopped) break;
    }
    return !event.defaultPrevented;
  }
}

function ancestors(node) {
  return node instanceof StubNode ? [node, ...ancestors(node.parentElement)] : [];
}

class StubNode extends Listening {
  parentElement = null;
  childNodes = [];
  text = "";

  get textContent() {
    return this.childNodes.length ? this.childNodes.map((child) => child.textContent).join("") : this.text;
  }
  set textContent(text) {
    this.replaceChildren();
    this.text = String(text);
  }
  replaceChildren(...children) {
    for (const child of this.childNodes) child.parentElement = null;
    this.childNodes = [];
    this.append(...children);
  }
  append(...children) {
    for (const child of children) this.insertBefore(child, null);
  }
  prepend(...children) {
    for (const child of children.reverse()) this.insertBefore(child, this.childNodes[0] ?? null);
  }
  insertBefore(child, next) {
    const node = child instanceof StubNode ? child : Object.assign(new StubNode(), { text: String(child) });
    node.remove();
    const at = next ? this.childNodes.indexOf(next) : this.childNodes.length;
    this.childNodes.splice(at, 0, node);
    node.parentElement = this;
  }
  before(...nodes) {
    for (const node of nodes) this.parentElement.insertBefore(node, this);
  }
  replaceWith(node) {
    if (!this.parentElement) return;
    this.before(node);
    this.remove();
  }
  remove() {
    const siblings = this.parentElement?.childNodes;
    if (siblings) siblings.splice(siblings.indexOf(this), 1);
    this.parentElement = null;
  }
  get firstChild() {
    return this.childNodes[0] ?? null;
  }
  get children() {
    return this.childNodes.filter((child) => child instanceof StubElement);
  }
  get firstElementChild() {
    return this.children[0] ?? null;
  }
  get childElementCount() {
    return this.children.length;
  }
  get isConnected() {
    return ancestors(this).at(-1) === globalThis.document?.body;
  }
  contains(node) {
    return ancestors(node).includes(this);
  }
}

export class StubElement extends StubNode {
  attributes = new Map();
  dataset = {};
  style = {};
  box = { left: 0, top: 0, width: 0, height: 0 };
  scrollLeft = 0;
  scrollTop = 0;
  value = "";
  checked = false;
  open = false;

  constructor(tag) {
    super();
    this.tagName = tag.toUpperCase();
    this.classList = new ClassList(this);
    if (tag === "canvas") Object.assign(this, { width: 300, height: 150, context: new StubContext(this) });
  }
  setAttribute(name, value) {
    this.attributes.set(name, String(value));
    if (name.startsWith("data-")) this.dataset[name.slice(5)] = String(value);
    if (name === "value" || (this.context && (name === "width" || name === "height"))) this[name] = Number.isNaN(Number(value)) ? value : Number(value);
  }
  getAttribute(name) {
    return this.attributes.get(name) ?? null;
  }
  removeAttribute(name) {
    this.attributes.delete(name);
  }
  get className() {
    return this.getAttribute("class") ?? "";
  }
  set className(names) {
    this.setAttribute("class", names);
  }
  matches(selector) {
    return selector.split(",").some((part) => {
      const [, tag, name, attribute, value] = part.trim().match(/^([a-z]+)?(?:\.([\w-]+))?(?:\[([\w-]+)(?:="([^"]*)")?\])?$/);
      const fits = attribute === undefined || (value === undefined ? this.attributes.has(attribute) : this.getAttribute(attribute) === value);
      return (!tag || this.tagName === tag.toUpperCase()) && (!name || this.classList.contains(name)) && fits;
    });
  }
  querySelectorAll(selector) {
    return this.children.flatMap((child) => [...(child.matches(selector) ? [child] : []), ...child.querySelectorAll(selector)]);
  }
  querySelector(selector) {
    return this.querySelectorAll(selector)[0] ?? null;
  }
  closest(selector) {
    return ancestors(this).find((node) => node.matches(selector)) ?? null;
  }
  getRootNode() {
    return globalThis.document;
  }
  getBoundingClientRect() {
    const { left, top, width, height } = this.box;
    return { left, top, width, height, right: left + width, bottom: top + height };
  }
  getClientRects() {
    return [this.box];
  }
  get offsetWidth() {
    return this.box.width;
  }
  get offsetHeight() {
    return this.box.height;
  }
  get clientWidth() {
    return this.box.width;
  }
  get clientHeight() {
    return this.box.height;
  }
  get naturalWidth() {
    return this.box.width;
  }
  get naturalHeight() {
    return this.box.height;
  }
  focus() {
    globalThis.document.activeElement = this;
  }
  click() {
    if (!this.disabled) this.dispatchEvent(new StubEvent("click"));
  }
  scrollIntoView() {}
  select() {}
  setPointerCapture() {}
  showModal() {
    this.open = true;
  }
  close() {
    this.open = false;
  }
  getContext() {
    return this.context;
  }
}

for (const name of REFLECTED) {
  Object.defineProperty(StubElement.prototype, name, {
    get() {
      return this.getAttribute(name) ?? "";
    },
    set(value) {
      this.setAttribute(name, value);
    },
  });
}
for (const name of SWITCHES) {
  Object.defineProperty(StubElement.prototype, name, {
    get() {
      return this.attributes.has(name);
    },
    set(isOn) {
      if (isOn) this.setAttribute(name, "");
      else this.removeAttribute(name);
    },
  });
}

class ClassList {
  constructor(element) {
    this.element = element;
  }
  get names() {
    return this.element.className.split(" ").filter(Boolean);
  }
  contains(name) {
    return this.names.includes(name);
  }
  add(name) {
    this.toggle(name, true);
  }
  remove(name) {
    this.toggle(name, false);
  }
  toggle(name, isOn = !this.contains(name)) {
    const others = this.names.filter((other) => other !== name);
    this.element.className = (isOn ? [...others, name] : others).join(" ");
  }
}

/** Remembers every call as [name, ...arguments], and the styles at the time of a stroke, fill or text. */
export class StubContext {
  constructor(canvas) {
    this.canvas = canvas;
    this.calls = [];
    for (const name of ["setTransform", "clearRect", "scale", "beginPath", "arc", "moveTo", "lineTo", "stroke", "fill", "strokeText", "fillText", "drawImage", "putImageData"]) {
      this[name] = (...values) => {
        const { strokeStyle, fillStyle, lineWidth } = this;
        this.calls.push(Object.assign([name, ...values], { strokeStyle, fillStyle, lineWidth }));
      };
    }
  }
  createImageData(width, height) {
    return { width, height, data: new Uint8ClampedArray(4 * width * height) };
  }
  called(name) {
    return this.calls.filter((call) => call[0] === name);
  }
}

class StubPath {
  parts = [];
  arc(...values) {
    this.parts.push(["arc", ...values]);
  }
  rect(...values) {
    this.parts.push(["rect", ...values]);
  }
  moveTo() {}
  lineTo() {}
}

class StubStorage {
  values = new Map();
  getItem(name) {
    return this.values.get(name) ?? null;
  }
  setItem(name, value) {
    this.values.set(name, String(value));
  }
}

/**
 * Give this test file a document of its own.
 * @returns {{frames: () => void, storage: StubStorage, images: StubElement[], observers: object[]}} frames: run what waits for the
 *   next frames, until nothing waits; images: those made by `new Image`
 */
export function installDom() {
  const waiting = new Map();
  let nFrames = 0;
  const body = new StubElement("body");
  const document = Object.assign(new Listening(), {
    body,
    hidden: false,
    activeElement: null,
    createElement: (tag) => new StubElement(tag),
    createElementNS: (_space, tag) => new StubElement(tag),
    querySelector: (selector) => body.querySelector(selector),
  });
  const images = [];
  const observers = [];
  const window = Object.assign(new Listening(), { devicePixelRatio: 1, innerHeight: 800, matchMedia: () => ({ matches: true }) });
  Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
  Object.assign(globalThis, {
    document,
    window,
    localStorage: new StubStorage(),
    Path2D: StubPath,
    Document: Listening,
    ShadowRoot: class {},
    HTMLButtonElement: StubElement,
    WheelEvent: { DOM_DELTA_LINE: 1 },
    ResizeObserver: class {
      constructor(onResize) {
        observers.push(Object.assign(this, { onResize }));
      }
      observe() {}
      disconnect() {}
    },
    Image: class extends StubElement {
      constructor() {
        super("img");
        this.decoded = new Promise((resolve, reject) => Object.assign(this, { arrive: resolve, fail: reject }));
        this.decoded.catch(() => {});
        images.push(this);
      }
      decode() {
        return this.decoded;
      }
    },
    requestAnimationFrame: (act) => {
      waiting.set((nFrames += 1), act);
      return nFrames;
    },
    cancelAnimationFrame: (frame) => void waiting.delete(frame),
    CustomEvent: StubEvent,
    MessageChannel: class {
      port1 = { onmessage: () => {}, close: () => {} };
      port2 = { postMessage: (data) => this.port1.onmessage({ data }) };
    },
  });
  window.sessionStorage = new StubStorage();
  const frames = () => {
    for (let round = 0; waiting.size && round < 20; round += 1) {
      const acts = [...waiting.values()];
      waiting.clear();
      for (const act of acts) act();
    }
  };
  return { frames, storage: globalThis.localStorage, images, observers };
}

/** Fire an event at an element. @returns the event */
export function fire(element, type, rest = {}) {
  const event = new StubEvent(type, rest);
  element.dispatchEvent(event);
  return event;
}

/** Let promises settle. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));
