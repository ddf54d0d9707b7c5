// @ts-check
import { h, icon, say } from "./dom.js";
import { counted } from "./words.js";

/** @typedef {import("./types.js").ImageState} ImageState */
/** @typedef {{id: number, name: string, n_points: number, state: ImageState}} StripItem */

export const ITEM_PX = 92;
const PAGE = 60;
const SPARE = 4;
const REFRESH_MS = 800;

/**
 * The items to keep in the document: those in sight and a few on either side.
 * @param {number} left scrolled this far @param {number} width in sight @param {number} n
 * @returns {{first: number, end: number}} end is one past the last
 */
export function inSight(left, width, n) {
  const first = Math.max(0, Math.floor(left / ITEM_PX) - SPARE);
  const end = Math.min(n, Math.ceil((left + width) / ITEM_PX) + SPARE);
  return { first: Math.min(first, end), end };
}

/** @type {Record<ImageState, string>} */
const STATE_WORDS = { new: "not started", in_progress: "in progress", done: "done" };

/** All images of the project in one line; only those in sight exist. */
export class Strip {
  /**
   * @param {object} parts
   * @param {import("./routes.js").Routes} parts.routes
   * @param {(imageId: number) => void} parts.onGo
   */
  constructor({ routes, onGo }) {
    this.routes = routes;
    this.onGo = onGo;
    this.track = h("div", { class: "track" });
    this.element = h("div", { class: "strip", role: "listbox", "aria-label": "Images", tabindex: "-1" }, this.track);
    this.n = 0;
    /** @type {Map<number, StripItem>} */
    this.items = new Map();
    /** @type {Map<number, ReturnType<Strip["makeCell"]>>} */
    this.cells = new Map();
    /** Pages asked for, and whether they must be asked for again. @type {Map<number, "asked" | "fresh" | "old">} */
    this.pages = new Map();
    /** @type {{id: number, position: number, nPoints: number, state: ImageState} | null} */
    this.current = null;
    this.frame = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.stopped = false;
    this.element.addEventListener("scroll", () => this.#later(), { passive: true });
    this.element.addEventListener(
      "wheel",
      (event) => {
        if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
        event.preventDefault();
        this.element.scrollLeft += event.deltaY;
      },
      { passive: false },
    );
  }

  /** @param {number} n @param {Strip["current"]} current the image shown, as this tab knows it */
  update(n, current) {
    const moved = current?.id !== this.current?.id;
    if (n !== this.n) {
      this.n = n;
      this.track.style.width = `${n * ITEM_PX}px`;
      this.refresh();
    }
    this.current = current;
    if (moved && current) {
      this.reveal(current.position);
      this.refresh();
    }
    this.#later();
  }

  /** The id of the image at a place, if it is known. @param {number} position */
  idAt(position) {
    return this.items.get(position)?.id ?? null;
  }

  /** @param {number} imageId */
  positionOf(imageId) {
    for (const [position, item] of this.items) if (item.id === imageId) return position;
    return null;
  }

  /** What is known may be old: ask again for what is in sight, soon. */
  refresh() {
    for (const page of this.pages.keys()) this.pages.set(page, "old");
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.#fetchPages(true);
    }, REFRESH_MS);
  }

  /** @param {number} position */
  reveal(position) {
    const left = position * ITEM_PX;
    const { scrollLeft, clientWidth } = this.element;
    if (left < scrollLeft + ITEM_PX || left + 2 * ITEM_PX > scrollLeft + clientWidth) {
      this.element.scrollLeft = left - (clientWidth - ITEM_PX) / 2;
    }
  }

  resize() {
    if (this.current) this.reveal(this.current.position);
    this.#later();
  }

  stop() {
    this.stopped = true;
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
  }

  #later() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.#render();
    });
  }

  #sight() {
    return inSight(this.element.scrollLeft, this.element.clientWidth, this.n);
  }

  #render() {
    const { first, end } = this.#sight();
    for (const [position, cell] of this.cells) {
      if (position >= first && position < end) continue;
      cell.element.remove();
      this.cells.delete(position);
    }
    for (let position = first; position < end; position += 1) {
      let cell = this.cells.get(position);
      if (!cell) {
        cell = this.makeCell(position);
        this.cells.set(position, cell);
        this.track.append(cell.element);
      }
      this.#fill(cell, position);
    }
    this.#fetchPages(this.timer === undefined);
  }

  /** @param {boolean} again also what is known but old */
  async #fetchPages(again) {
    const { first, end } = this.#sight();
    for (let page = Math.floor(first / PAGE); page * PAGE < end; page += 1) {
      const state = this.pages.get(page);
      if (state === "asked" || state === "fresh" || (state === "old" && !again)) continue;
      this.pages.set(page, "asked");
      try {
        const response = await fetch(this.routes.strip(page * PAGE, PAGE));
        if (!response.ok) throw new Error(`answer ${response.status}`);
        const { items } = await response.json();
        items.forEach((/** @type {StripItem} */ item, /** @type {number} */ k) => this.items.set(page * PAGE + k, item));
        // An answer overtaken by a change is shown, but asked for again.
        if (this.pages.get(page) === "asked") this.pages.set(page, "fresh");
      } catch {
        this.pages.set(page, "old");
        if (!this.stopped) this.refresh();
      }
      if (!this.stopped) this.#later();
    }
  }

  /** @param {number} position */
  makeCell(position) {
    const picture = h("img", { alt: "", loading: "lazy", decoding: "async", draggable: "false" });
    const name = h("span", { class: "name" });
    const count = h("span", { class: "count" });
    const state = h("span", { class: "state" }, icon("check"));
    const go = () => {
      const item = this.items.get(position);
      if (item) this.onGo(item.id);
    };
    const element = h(
      "div",
      { class: "cell", role: "option", click: go, style: `left:${position * ITEM_PX}px` },
      h("div", { class: "frame" }, picture, state, count),
      name,
    );
    return { element, picture, name, count, state, id: -1 };
  }

  /** @param {ReturnType<Strip["makeCell"]>} cell @param {number} position */
  #fill(cell, position) {
    const item = this.items.get(position);
    if (!item) return;
    const own = this.current?.id === item.id ? this.current : null;
    const state = own?.state ?? item.state;
    const n = own?.nPoints ?? item.n_points;
    if (cell.id !== item.id) {
      cell.id = item.id;
      cell.picture.src = this.routes.thumbnail(item.id);
      say(cell.name, item.name);
    }
    say(cell.count, n ? String(n) : "");
    cell.element.dataset.image = String(item.id);
    cell.element.dataset.state = state;
    cell.element.title = `${item.name}: ${STATE_WORDS[state]}, ${counted(n, "point")}`;
    cell.element.setAttribute("aria-selected", String(own !== null));
  }
}
