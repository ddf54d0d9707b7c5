// @ts-check
import { button, h, icon, onArrows, say } from "./dom.js";
import { GainOrder } from "../protocol/order.js";
import { counted } from "./messages.js";

/** @typedef {import("../types.js").ImageState} ImageState */
/** @typedef {{id: number, name: string, n_points: number, state: ImageState, is_complete: boolean, gain?: number | null}} StripItem */
/** @typedef {import("../types.js").ImageInfo} ImageInfo */

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

/** What images are shown for, of a class. @type {readonly (readonly [wanted: string, words: string])[]} */
const TAGGED = [
  ["yes", "yes"],
  ["no", "no"],
  ["unknown", "unknown"],
  ["predicted", "predicted"],
];

/** All images of the project in one line; only those in sight exist. */
export class Strip {
  /**
   * @param {object} parts
   * @param {import("../protocol/routes.js").Routes} parts.routes
   * @param {(imageId: number) => void} parts.onGo
   * @param {() => void} parts.onLeave the image is chosen: back to the picture
   * @param {(order: number[] | null) => void} parts.onOrder the images stand in another order now
   * @param {(byGain: boolean) => void} parts.onSort the labeller chose an order
   * @param {boolean} parts.byGain begin with the images that promise most
   * @param {boolean} [parts.counts] whether the project counts: points are objects then, and all marked stands for done
   */
  constructor({ routes, onGo, onLeave, onOrder, onSort, byGain, counts = false }) {
    this.counts = counts;
    this.routes = routes;
    this.onGo = onGo;
    this.onOrder = onOrder;
    this.onSort = onSort;
    this.byGain = byGain;
    this.track = h("div", { class: "track" });
    this.scroller = h("div", { class: "strip", role: "listbox", "aria-label": "Images", "aria-orientation": "horizontal", tabindex: "0" }, this.track);
    this.plain = button("Images in the order of their import", null, () => this.sort(false), { text: "Import order" });
    this.ranked = button("The images that would teach most come first, done images last", null, () => this.sort(true), { text: "Most informative" });
    this.chosen = h("select", { class: "chosen", "aria-label": "Show images by tag", title: "Show images by tag", change: () => this.filter(this.chosen.value) });
    this.progress = h("span", { class: "ranking" });
    this.element = h("div", { class: "images" }, h("div", { class: "sorts", role: "group", "aria-label": "Order of images" }, this.plain, this.ranked, this.chosen, this.progress), this.scroller);
    this.n = 0;
    /** Images of the project; fewer are shown where a tag chooses. */
    this.total = 0;
    /** The tag that chooses, "class id:yes"; empty: all images. */
    this.tag = "";
    this.classes = "";
    /** Where the image shown stood last: it may be chosen no more. */
    this.stood = { id: -1, place: 0 };
    /** @type {Map<number, StripItem>} by image */
    this.items = new Map();
    /** Which image is where in import order, as far as known. @type {Map<number, number>} */
    this.imported = new Map();
    /** The images that promise most come first; null in import order. @type {number[] | null} */
    this.order = null;
    /** @type {Map<number, ReturnType<Strip["makeCell"]>>} */
    this.cells = new Map();
    /** Pages asked for, and whether they must be asked for again. @type {Map<number, "asked" | "fresh" | "old">} */
    this.pages = new Map();
    /** @type {{id: number, position: number, nPoints: number, state: ImageState, isComplete: boolean} | null} */
    this.current = null;
    /** Where arrows have come to; null: at the image shown. @type {number | null} */
    this.reached = null;
    /** The cell there. @type {HTMLElement | undefined} */
    this.pointed = undefined;
    this.follower = new GainOrder({ routes, onOrder: (order, waiting) => this.#reorder(order, waiting) });
    this.frame = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.stopped = false;
    this.scroller.addEventListener("scroll", () => this.#later(), { passive: true });
    this.scroller.addEventListener(
      "wheel",
      (event) => {
        if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return;
        event.preventDefault();
        this.scroller.scrollLeft += event.deltaY;
      },
      { passive: false },
    );
    onArrows(this.scroller, ".strip", { onStep: (step) => this.#step(step), onChoose: () => this.#choose(onLeave) });
    this.scroller.addEventListener("blur", () => this.#reach(null));
    this.#press();
    if (byGain) this.#follow();
  }

  /** @param {boolean} byGain begin with the images that promise most */
  sort(byGain) {
    if (byGain === this.byGain) return;
    this.byGain = byGain;
    this.onSort(byGain);
    this.#press();
    this.#follow();
  }

  /** Show the images that a tag chooses. @param {string} tag empty: all of them */
  filter(tag) {
    if (tag === this.tag) return;
    this.tag = tag;
    this.chosen.value = tag;
    this.stood = { id: -1, place: 0 };
    this.scroller.scrollLeft = 0;
    this.#follow();
  }

  /** The classes by which images can be chosen. @param {readonly {id: number, name: string}[]} classes */
  setClasses(classes) {
    const told = JSON.stringify(classes.map(({ id, name }) => [id, name]));
    if (told === this.classes) return;
    this.classes = told;
    const groups = classes.map(({ id, name }) => h("optgroup", { label: name }, ...TAGGED.map(([wanted, words]) => h("option", { value: `${id}:${wanted}` }, `${name}: ${words}`))));
    this.chosen.replaceChildren(h("option", { value: "" }, "All images"), ...groups);
    if (classes.some(({ id }) => this.tag.startsWith(`${id}:`))) this.chosen.value = this.tag;
    else this.filter("");
  }

  #follow() {
    const { byGain, follower, routes, tag } = this;
    follower.halt();
    follower.address = () => (tag ? routes.tagged(tag, byGain) : routes.ranked(0, 0));
    if (tag || byGain) follower.start();
    else follower.stop();
  }

  /** An image with its neighbours in the shown order. @param {ImageInfo} image @returns {ImageInfo} */
  placed(image) {
    const { order, stood } = this;
    if (!order) return image;
    const position = order.indexOf(image.id);
    if (position >= 0) {
      this.stood = { id: image.id, place: position };
      return { ...image, position, previous_id: order[position - 1] ?? null, next_id: order[position + 1] ?? null };
    }
    if (!this.tag) return image;
    const place = stood.id === image.id ? stood.place : 0;
    return { ...image, previous_id: order[place - 1] ?? null, next_id: order[place] ?? null };
  }

  /** Images among which an image has its place. @param {number} imageId @param {number} total of the project */
  among(imageId, total) {
    return this.tag && this.order?.includes(imageId) ? this.order.length : total;
  }

  /** @param {number} n @param {Strip["current"]} current the image shown, as this tab knows it */
  update(n, current) {
    const moved = current?.id !== this.current?.id;
    this.total = n;
    this.#count();
    this.current = current;
    if (moved && current) {
      this.reached = null;
      this.#revealCurrent();
      this.refresh();
    }
    this.#later();
  }

  /** As many cells as there are images to show. */
  #count() {
    const n = this.tag && this.order ? this.order.length : this.total;
    if (n === this.n) return;
    this.n = n;
    this.track.style.width = `${n * ITEM_PX}px`;
    for (const { element } of this.cells.values()) element.setAttribute("aria-setsize", String(n));
    this.refresh();
  }

  #revealCurrent() {
    const { current, order, tag } = this;
    if (current && (!tag || order?.includes(current.id))) this.reveal(current.position);
  }

  /** The id of the image at a place, if it is known. @param {number} position */
  idAt(position) {
    return (this.order ? this.order[position] : this.imported.get(position)) ?? null;
  }

  /** @param {number} imageId */
  positionOf(imageId) {
    if (this.order) return this.order.includes(imageId) ? this.order.indexOf(imageId) : null;
    for (const [position, id] of this.imported) if (id === imageId) return position;
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
    const { scrollLeft, clientWidth } = this.scroller;
    if (left < scrollLeft + ITEM_PX || left + 2 * ITEM_PX > scrollLeft + clientWidth) {
      this.scroller.scrollLeft = left - (clientWidth - ITEM_PX) / 2;
    }
  }

  resize() {
    this.#revealCurrent();
    this.#later();
  }

  stop() {
    this.stopped = true;
    this.follower.halt();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.timer);
  }

  /** @param {number} step */
  #step(step) {
    const from = this.reached ?? this.current?.position ?? 0;
    this.#reach(Math.min(this.n - 1, Math.max(0, from + step)));
  }

  /** @param {number | null} position */
  #reach(position) {
    if (position === this.reached) return;
    this.reached = position;
    if (position !== null) this.reveal(position);
    this.#later();
  }

  /** @param {() => void} onLeave */
  #choose(onLeave) {
    const id = this.reached === null ? null : this.idAt(this.reached);
    if (id !== null && id !== this.current?.id) this.onGo(id);
    onLeave();
  }

  /** @param {number[] | null} order @param {number} waiting images whose place is not settled yet */
  #reorder(order, waiting) {
    this.order = order;
    this.#count();
    const count = this.tag && order ? counted(order.length, "image") : "";
    say(this.progress, order && waiting ? `${waiting} to look at` : count);
    this.refresh();
    this.onOrder(order);
    this.#later();
  }

  #press() {
    const { byGain } = this;
    this.plain.setAttribute("aria-pressed", String(!byGain));
    this.ranked.setAttribute("aria-pressed", String(byGain));
  }

  #later() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.#render();
    });
  }

  #sight() {
    return inSight(this.scroller.scrollLeft, this.scroller.clientWidth, this.n);
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
    this.#point();
    this.#fetchPages(this.timer === undefined);
  }

  /** Where the keyboard is; nowhere while that is out of sight. */
  #point() {
    const isHere = !this.tag || this.order?.includes(this.current?.id ?? -1);
    const at = this.reached ?? (isHere ? this.current?.position : undefined) ?? -1;
    const cell = this.cells.get(at)?.element;
    if (cell === this.pointed && cell?.id === this.scroller.getAttribute("aria-activedescendant")) return;
    this.pointed?.classList.remove("reached");
    cell?.classList.add("reached");
    this.pointed = cell;
    if (cell?.id) this.scroller.setAttribute("aria-activedescendant", cell.id);
    else this.scroller.removeAttribute("aria-activedescendant");
  }

  /** @param {boolean} again also what is known but old */
  async #fetchPages(again) {
    const { first, end } = this.#sight();
    for (let page = Math.floor(first / PAGE); page * PAGE < end; page += 1) {
      const state = this.pages.get(page);
      if (state === "asked" || state === "fresh" || (state === "old" && !again)) continue;
      this.pages.set(page, "asked");
      try {
        const { order } = this;
        const url = order ? this.routes.cells(order.slice(page * PAGE, (page + 1) * PAGE)) : this.routes.strip(page * PAGE, PAGE);
        const response = await fetch(url);
        if (!response.ok) throw new Error(`answer ${response.status}`);
        const { items } = await response.json();
        items.forEach((/** @type {StripItem} */ item, /** @type {number} */ k) => {
          this.items.set(item.id, item);
          if (!order) this.imported.set(page * PAGE + k, item.id);
        });
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
      const id = this.idAt(position);
      if (id !== null) this.onGo(id);
    };
    const element = h(
      "div",
      { class: "cell", role: "option", "aria-posinset": position + 1, "aria-setsize": this.n, click: go, style: `left:${position * ITEM_PX}px` },
      h("div", { class: "frame" }, picture, state, count),
      name,
    );
    return { element, picture, name, count, state, id: -1 };
  }

  /** @param {ReturnType<Strip["makeCell"]>} cell @param {number} position */
  #fill(cell, position) {
    const item = this.items.get(this.idAt(position) ?? -1);
    if (!item) return;
    const own = this.current?.id === item.id ? this.current : null;
    const state = own?.state ?? item.state;
    const n = own?.nPoints ?? item.n_points;
    if (cell.id !== item.id) {
      cell.id = item.id;
      cell.picture.src = this.routes.thumbnail(item.id);
      say(cell.name, item.name);
    }
    say(cell.count, n || (this.counts && (own?.isComplete ?? item.is_complete)) ? String(n) : "");
    cell.element.dataset.image = String(item.id);
    const isComplete = this.counts && (own?.isComplete ?? item.is_complete);
    cell.element.dataset.state = isComplete ? "done" : state;
    const gain = this.order && state !== "done" ? (item.gain ?? null) : null;
    const promise = gain === null ? "" : `, gain ${gain.toFixed(2)}`;
    const marked = n ? `all of ${counted(n, "object")} marked` : "no objects here";
    const words = isComplete ? marked : `${STATE_WORDS[state]}, ${counted(n, this.counts ? "object" : "point")}`;
    cell.element.title = `${item.name}: ${words}${promise}`;
    cell.element.setAttribute("aria-selected", String(own !== null));
    cell.element.id = `image-${item.id}`;
  }
}
