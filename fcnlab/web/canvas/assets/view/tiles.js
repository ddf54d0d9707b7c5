// @ts-check
import { sized } from "./marks.js";

/** @typedef {import("../types.js").View} View */
/** @typedef {import("../types.js").Size} Size */
/** @typedef {{width: number, height: number, tile_px: number, levels: number}} Tiling */
/** @typedef {{level: number, x: number, y: number}} Tile */

/** From this scale on single pixels are shown as squares. */
export const PIXELS_FROM_SCALE = 4;
/** Tiles kept in memory, about a megabyte each; a large screen shows some thirty. */
const KEPT = 160;
/** Tiles on their way at once: the browser has six connections, and one waits for the overlay. */
const AT_ONCE = 4;

/**
 * The level whose pixels are just smaller than those of the screen; null when the overview is fine enough.
 * @param {Tiling} image
 * @param {number} scale screen pixels per pixel of the picture
 * @returns {number | null}
 */
export function levelFor(image, scale) {
  const level = Math.max(0, Math.floor(Math.log2(1 / scale) + 1e-6));
  return level < image.levels ? level : null;
}

/**
 * The tiles of a level that can be seen, those in the middle of the viewport first.
 * @param {Tiling} image
 * @param {View} view
 * @param {Size} viewport
 * @param {number} level
 * @returns {Tile[]}
 */
export function tilesInView(image, view, viewport, level) {
  const side = image.tile_px * 2 ** level * view.scale;
  const count = (/** @type {number} */ length) => Math.ceil(Math.ceil(length / 2 ** level) / image.tile_px);
  const range = (/** @type {number} */ offset, /** @type {number} */ room, /** @type {number} */ length) => ({
    first: Math.max(0, Math.floor(-offset / side)),
    last: Math.min(count(length) - 1, Math.ceil((room - offset) / side) - 1),
  });
  const across = range(view.x, viewport.width, image.width);
  const down = range(view.y, viewport.height, image.height);
  const tiles = [];
  for (let y = down.first; y <= down.last; y += 1) {
    for (let x = across.first; x <= across.last; x += 1) tiles.push({ level, x, y });
  }
  const away = (/** @type {Tile} */ { x, y }) =>
    Math.hypot((x + 0.5) * side + view.x - viewport.width / 2, (y + 0.5) * side + view.y - viewport.height / 2);
  return tiles.sort((a, b) => away(a) - away(b));
}

/** @param {Tile} tile */
const nameOf = ({ level, x, y }) => `${level}/${x}/${y}`;

/** A large picture, drawn from what is on the screen: coarse tiles first, finer ones over them as they arrive. */
export class TileLayer {
  /** @param {HTMLCanvasElement} canvas @param {() => void} redraw */
  constructor(canvas, redraw) {
    this.canvas = canvas;
    this.redraw = redraw;
    /** @type {Tiling | null} */
    this.image = null;
    /** @type {(tile: Tile) => string} */
    this.address = () => "";
    /** Oldest first; null while on its way. @type {Map<string, HTMLImageElement | null>} */
    this.known = new Map();
    /** @type {Tile[]} */
    this.wanted = [];
    this.loading = 0;
    this.turn = 0;
  }

  /** @param {Tiling} image @param {(tile: Tile) => string} address */
  show(image, address) {
    this.turn += 1;
    this.loading = 0;
    this.known.clear();
    this.wanted = [];
    this.image = image.levels ? image : null;
    this.address = address;
  }

  hide() {
    this.turn += 1;
    this.image = null;
  }

  /** @param {View} view @param {Size} size of the viewport */
  draw(view, size) {
    const { image, canvas } = this;
    if (!image && !canvas.width) return;
    if (!image) {
      canvas.width = 0;
      return;
    }
    const context = sized(canvas, size);
    const ratio = canvas.width / Math.max(1, size.width);
    const finest = levelFor(image, view.scale * ratio);
    this.wanted = [];
    if (finest === null || !canvas.width) return;
    context.scale(ratio, ratio);
    context.imageSmoothingEnabled = view.scale < PIXELS_FROM_SCALE;
    for (let level = image.levels - 1; level >= finest; level -= 1) {
      const tiles = tilesInView(image, view, size, level);
      if (level === finest) this.wanted = tiles;
      for (const tile of tiles) this.#drawTile(context, view, tile);
    }
    canvas.dataset.level = String(finest);
    canvas.dataset.missing = String(this.wanted.filter((tile) => !this.known.get(nameOf(tile))).length);
    this.#fetch();
  }

  /** @param {CanvasRenderingContext2D} context @param {View} view @param {Tile} tile */
  #drawTile(context, view, tile) {
    const name = nameOf(tile);
    const picture = this.known.get(name);
    if (!picture || !this.image) return;
    this.known.delete(name);
    this.known.set(name, picture);
    const grown = 2 ** tile.level * view.scale;
    const start = this.image.tile_px * grown;
    // Whole screen pixels, so that no seam shows between neighbours.
    const at = (/** @type {number} */ offset, /** @type {number} */ place) => Math.round(offset + place);
    const left = at(view.x, tile.x * start);
    const top = at(view.y, tile.y * start);
    const right = at(view.x, tile.x * start + picture.naturalWidth * grown);
    const bottom = at(view.y, tile.y * start + picture.naturalHeight * grown);
    context.drawImage(picture, left, top, right - left, bottom - top);
  }

  #fetch() {
    for (const tile of this.wanted) {
      if (this.loading >= AT_ONCE) return;
      const name = nameOf(tile);
      if (!this.known.has(name)) this.#load(tile, name);
    }
  }

  /** @param {Tile} tile @param {string} name */
  async #load(tile, name) {
    const { turn } = this;
    this.known.set(name, null);
    this.loading += 1;
    const picture = new Image();
    picture.src = this.address(tile);
    const arrived = await picture.decode().then(
      () => true,
      () => false,
    );
    if (turn !== this.turn) return;
    this.loading -= 1;
    if (arrived) this.known.set(name, picture);
    else this.known.delete(name); // the next look asks again
    for (const [old, kept] of this.known) {
      if (this.known.size <= KEPT) break;
      if (kept) this.known.delete(old);
    }
    if (arrived) this.redraw();
  }
}
