// @ts-check
import { h } from "../widgets/dom.js";
import { Fill } from "./fill.js";
import { Flight } from "./flight.js";
import { drawCrosshair, drawDots, drawRing, sized } from "./marks.js";
import { backgroundOf, cellsBelow, classTable, drawBorders } from "./overlay.js";
import { isClassMap } from "../state/modes.js";
import { PIXELS_FROM_SCALE, TileLayer } from "./tiles.js";
import { around, fitted, kept, matrix, moved, zoomed } from "../state/view.js";

/** @typedef {import("../types.js").ImageInfo} ImageInfo */
/** @typedef {import("../types.js").Overlay} Overlay */
/** @typedef {import("../types.js").StoredPoint} StoredPoint */
/** @typedef {import("../types.js").ClassLabel} ClassLabel */
/** @typedef {import("../state/settings.js").Display} Display */

const BORDER_PX = 1.75;
/** Outlines are drawn again when the view has rested this long. */
const REST_MS = 90;

/** What a screen reader says of the picture. @param {string} name */
function spoken(name) {
  return `${name}. Press k for a cursor: arrow keys move it, Space sets a point, Delete removes the nearest one, Escape leaves.`;
}

/** The picture, the overlay and the points, one above the other. */
export class Stage {
  constructor() {
    /** A mask is on the screen that knows all events up to this one. @param {number} _covers */
    this.onPainted = (_covers) => {};
    this.picture = h("img", { class: "picture", alt: "", draggable: "false" });
    this.fill = new Fill();
    this.layer = h("div", { class: "layer" }, this.picture);
    this.cover = h("div", { class: "layer" }, this.fill.canvas);
    this.tiles = new TileLayer(h("canvas", { class: "tiles", width: 0 }), () => this.redraw("tiles"));
    this.borders = h("canvas", { class: "borders" });
    this.strokes = h("canvas", { class: "strokes" });
    this.dots = h("canvas", { class: "dots" });
    this.element = h(
      "div",
      { class: "vp", tabindex: "0", role: "application", "aria-roledescription": "image to label", "aria-label": spoken("No image") },
      ...[this.layer, this.tiles.canvas, this.cover, this.borders, this.strokes, this.dots],
    );
    /** @type {import("../types.js").View} */
    this.view = { scale: 1, x: 0, y: 0 };
    /** @type {import("../types.js").View | null} */
    this.bordersView = null;
    /** @type {import("../types.js").Size} */
    this.size = { width: 0, height: 0 };
    /** @type {ImageInfo | null} */
    this.image = null;
    /** @type {Overlay | null} */
    this.overlay = null;
    /** @type {readonly StoredPoint[]} */
    this.points = [];
    /** @type {string | null} */
    this.marked = null;
    /** The pixel in the ring. @type {{row: number, col: number} | null} */
    this.ring = null;
    /** The pixel of the cursor that keys move. @type {{row: number, col: number} | null} */
    this.crosshair = null;
    this.flight = new Flight((view) => this.#look(view));
    /** So much of the viewport's lower end is covered by something else. */
    this.coveredPx = 0;
    /** @type {readonly ClassLabel[]} */
    this.classes = [];
    /** @type {Display | null} */
    this.display = null;
    this.isFitted = true;
    this.frame = 0;
    this.dirty = new Set();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.rest = undefined;
    this.onView = () => {};
    /** The tool that is chosen. @type {() => Pick<import("../tools/tool.js").Tool, "paints" | "draw" | "drawOver"> | null} */
    this.tool = () => null;
  }

  /**
   * Swap in another picture, already decoded.
   * @param {ImageInfo} image
   * @param {HTMLImageElement} picture the whole of it, or an overview of a large one
   * @param {(tile: import("./tiles.js").Tile) => string} address of its tiles
   */
  show(image, picture, address) {
    picture.className = "picture";
    picture.draggable = false;
    picture.alt = image.name;
    this.element.setAttribute("aria-label", spoken(`Image ${image.name}`));
    this.picture.replaceWith(picture);
    this.picture = picture;
    const [width, height] = [`${image.width}px`, `${image.height}px`];
    for (const part of [this.picture, this.fill.canvas]) Object.assign(part.style, { width, height });
    this.image = image;
    this.tiles.show(image, address);
    this.overlay = null;
    this.marked = null;
    this.setRing(null);
    this.fit();
    this.redraw("tiles", "fill", "borders", "dots");
    this.dress();
    Object.assign(this.element.dataset, { image: String(image.id), ready: "1" });
    delete this.element.dataset.painted;
    delete this.element.dataset.paintedSeq;
  }

  /** Forget the picture. */
  blank() {
    this.image = null;
    this.tiles.hide();
    this.overlay = null;
    this.points = [];
    this.picture.removeAttribute("src");
    this.element.setAttribute("aria-label", spoken("No image"));
    this.redraw("tiles", "fill", "borders", "dots");
    for (const name of ["ready", "image", "painted", "paintedSeq"]) delete this.element.dataset[name];
  }

  /** @param {readonly ClassLabel[]} classes */
  setClasses(classes) {
    const looks = (/** @type {readonly ClassLabel[]} */ list) => list.map((label) => `${label.id} ${label.colour} ${label.is_background}`).join();
    const isSame = looks(classes) === looks(this.classes);
    this.classes = classes;
    if (!isSame) this.redraw("fill", "borders", "dots"); // counts change with every click, and nothing here shows them
  }

  /** @param {Display} display */
  setDisplay(display) {
    this.display = display;
    this.dress();
    this.redraw("fill", "borders");
  }

  /** @param {readonly StoredPoint[]} points */
  setPoints(points) {
    this.points = points;
    this.redraw("dots");
  }

  /** The point a right click would remove. @param {string | null} uid */
  mark(uid) {
    if (uid === this.marked) return;
    this.marked = uid;
    this.redraw("dots");
  }

  /** The object that a key would answer for has changed. @param {string} name its number; empty for none */
  setAim(name) {
    const { dataset } = this.element;
    if ((dataset.aim ?? "") === name) return;
    dataset.aim = name;
    this.redraw("dots");
  }

  /** Draw a ring round a pixel, or none. @param {{row: number, col: number} | null} pixel */
  setRing(pixel) {
    this.ring = pixel;
    if (pixel) this.element.dataset.asked = `${pixel.row},${pixel.col}`;
    else delete this.element.dataset.asked;
    this.redraw("dots");
  }

  /** Show the cursor that keys move, or none. @param {{row: number, col: number} | null} pixel */
  setCrosshair(pixel) {
    if (pixel === this.crosshair) return;
    this.crosshair = pixel;
    if (pixel) this.element.dataset.crosshair = `${pixel.row},${pixel.col}`;
    else delete this.element.dataset.crosshair;
    this.redraw("dots");
  }

  /** Keys mean the picture from now on. */
  focus() {
    this.element.focus({ preventScroll: true });
  }

  hasFocus() {
    const inside = this.element.getRootNode();
    return "activeElement" in inside && inside.activeElement === this.element;
  }

  /** Draw an overlay unless it is of another image or older than the one shown. @param {Overlay} overlay */
  setOverlay(overlay) {
    if (overlay.imageId !== this.image?.id) return;
    this.overlay = overlay;
    this.fill.follow(overlay);
    this.dirty.add("patch").add("borders");
    this.#draw(); // at once: it is in the next frame then, not in the one after
  }

  /** Overlays of the old kind vanish when another is asked for. */
  dropOverlay() {
    this.overlay = null;
    this.redraw("fill", "borders");
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height || (width === this.size.width && height === this.size.height)) return; // hidden, or the same
    const before = this.size;
    this.size = { width, height };
    if (this.image && this.isFitted) this.fit();
    else if (before.width) this.pan((width - before.width) / 2, (height - before.height) / 2);
    this.redraw("tiles", "borders", "strokes", "dots");
    this.#draw();
  }

  fit() {
    if (!this.image) return;
    this.flight.land();
    this.#look(fitted(this.image, this.room()));
    this.isFitted = true;
  }

  /** Go to a pixel, near enough to see what is round it. @param {{row: number, col: number}} pixel */
  approach({ row, col }) {
    if (!this.image) return;
    this.flight.go(this.view, around(this.image, this.room(), row, col), this.size);
  }

  /** @param {number} factor @param {number} sx @param {number} sy */
  zoom(factor, sx, sy) {
    if (!this.image) return;
    this.flight.land();
    const smallest = Math.min(1, fitted(this.image, this.size).scale / 2);
    this.#look(zoomed(this.view, factor, sx, sy, smallest));
  }

  /** @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.flight.land();
    this.#look({ ...this.view, x: this.view.x + dx, y: this.view.y + dy });
  }

  stop() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.rest);
    this.flight.land();
  }

  /** The part of the viewport where the picture is seen. */
  room() {
    const { width, height } = this.size;
    return { width, height: Math.max(height / 2, height - this.coveredPx) };
  }

  /** @param {import("../types.js").View} view */
  #look(view) {
    if (!this.image) return;
    this.view = kept(view, this.image, this.size);
    this.isFitted = false;
    for (const layer of [this.layer, this.cover]) layer.style.transform = matrix(this.view);
    this.element.classList.toggle("pixels", this.view.scale >= PIXELS_FROM_SCALE);
    if (this.bordersView) this.borders.style.transform = matrix(moved(this.bordersView, this.view));
    clearTimeout(this.rest);
    if (this.#outlined()) this.rest = setTimeout(() => this.redraw("borders"), REST_MS);
    this.redraw("tiles", "strokes", "dots");
    this.onView();
  }

  #outlined() {
    return Boolean(this.display?.contour && this.display.overlay && this.overlay && isClassMap(this.overlay.mode));
  }

  /** What CSS does: no pixel is touched. */
  dress() {
    const { display } = this;
    if (!display) return;
    const filters = [];
    if (display.brightness !== 1) filters.push(`brightness(${display.brightness})`);
    if (display.contrast !== 1) filters.push(`contrast(${display.contrast})`);
    // Under a heat map the picture's own colours would be read as values.
    if (display.overlay && !isClassMap(display.mode)) filters.push("grayscale(1)");
    for (const shown of [this.picture, this.tiles.canvas]) shown.style.filter = filters.join(" ");
    this.fill.canvas.style.opacity = display.overlay ? String(display.opacity) : "0";
    this.borders.style.opacity = display.overlay ? "1" : "0";
  }

  /** The whole of the fill, or its patch that is new. @param {...("tiles" | "fill" | "patch" | "borders" | "strokes" | "dots")} parts */
  redraw(...parts) {
    for (const part of parts) this.dirty.add(part);
    this.frame ||= requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { dirty } = this;
    this.dirty = new Set();
    if (dirty.has("tiles")) this.tiles.draw(this.view, this.size);
    if (dirty.has("strokes")) this.#drawStrokes();
    if (dirty.has("dots")) this.#drawDots();
    if (dirty.has("fill")) this.fill.expire();
    const isFilled = dirty.has("fill") || dirty.has("patch");
    if (isFilled) this.#drawFill();
    if (dirty.has("borders")) this.#drawBorders();
    if (isFilled && this.overlay) {
      const { number, covers, imageId, mode } = this.overlay;
      afterFrame(() => {
        if (this.image?.id !== imageId || this.overlay?.number !== number) return;
        const painted = { painted: String(number), paintedSeq: String(covers), paintedMode: mode };
        Object.assign(this.element.dataset, painted);
        this.onPainted(covers);
      });
    }
  }

  #drawFill() {
    const { overlay, display, fill } = this;
    if (!overlay || !display || this.#outlined()) fill.clear();
    else fill.draw(overlay, this.classes, display);
  }

  #drawBorders() {
    const { overlay, image, borders, size } = this;
    borders.style.transform = "";
    this.bordersView = this.view;
    const context = sized(borders, size);
    if (!overlay || !image || !this.#outlined() || !borders.width) return;
    const ratio = borders.width / size.width;
    const { view } = this;
    const cols = cellsBelow(borders.width, view.x * ratio, image.width * view.scale * ratio, overlay.width);
    const rows = cellsBelow(borders.height, view.y * ratio, image.height * view.scale * ratio, overlay.height);
    const pixels = context.createImageData(borders.width, borders.height);
    const target = new Uint32Array(pixels.data.buffer);
    const table = classTable(this.classes, { background: true });
    drawBorders(overlay, rows, cols, table, backgroundOf(this.classes), Math.round(BORDER_PX * ratio), target);
    context.putImageData(pixels, 0, 0);
  }

  #drawStrokes() {
    const { strokes, size } = this;
    const tool = this.tool();
    if (!tool?.paints) {
      if (strokes.width) strokes.width = 0; // empty, and no memory held
      return;
    }
    const context = sized(strokes, size);
    if (!strokes.width) return;
    const ratio = strokes.width / size.width;
    context.scale(ratio, ratio);
    tool.draw(context, this.view);
  }

  #drawDots() {
    const context = sized(this.dots, this.size);
    if (!this.image || !this.dots.width) return;
    const ratio = this.dots.width / this.size.width;
    context.scale(ratio, ratio);
    const colours = new Map(this.classes.map((label) => [label.id, label.colour]));
    drawDots(context, this.view, this.size, this.points, colours, this.marked);
    this.tool()?.drawOver(context, this.view, this.size);
    if (this.ring) drawRing(context, this.view, this.ring);
    if (this.crosshair) drawCrosshair(context, this.view, this.crosshair);
  }
}

/** When what is drawn now is on the screen: a message that is sent while a frame begins is heard once that is made. @param {() => void} tell */
function afterFrame(tell) {
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      tell();
    };
    port2.postMessage(null);
  });
}
