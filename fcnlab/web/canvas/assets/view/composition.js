// @ts-check
import { blank, paintedOver } from "../state/strokes.js";
import { followedMode, referenceOf } from "../state/modes.js";
import { difference } from "./difference.js";

/** @typedef {import("../types.js").Overlay} Overlay */
/** @typedef {import("../types.js").Mode} Mode */
/** @typedef {import("../types.js").ImageInfo} ImageInfo */
/** @typedef {import("../state/pending_strokes.js").Painted} Painted */

/**
 * The overlay to show: the server's with pending strokes over it, so that nothing flickers when the next one comes.
 * Strokes on an image without a mask lie on a blank one.
 * @param {Overlay | null} base newest overlay of the server of this image and mode
 * @param {readonly Painted[]} strokes that it does not have yet, oldest first
 * @param {ImageInfo} image
 * @param {{mask_side: number, ignore: number}} constants
 * @returns {Overlay | null} null when there is nothing to show
 */
export function composed(base, strokes, image, constants) {
  if (strokes.length === 0) return base;
  const isEmpty = base === null || (base.width === 1 && image.width > 1); // the server shows nothing yet
  const ground = isEmpty ? { ...blank(image.id, image, constants), number: base?.number ?? 0, covers: base?.covers ?? 0 } : base;
  return paintedOver(ground, image, strokes.map((one) => one.stroke), constants.ignore);
}

/**
 * Longer side of the masks of an image, in their pixels: of the one received, else what it will be at most.
 * @param {Overlay | null} received
 * @param {ImageInfo} image
 * @param {number} side
 */
export function sideOfMask(received, image, side) {
  if (received?.imageId === image.id && received.width > 1) return Math.max(received.width, received.height);
  return Math.min(Math.max(image.width, image.height), side);
}

/** Lays what is pending over what the server sent, and gives it to the stage when it differs from what is there. */
export class Composition {
  /**
   * @param {Pick<import("./stage.js").Stage, "image" | "overlay" | "setOverlay" | "dropOverlay">} stage
   * @param {{mask_side: number, ignore: number}} constants
   */
  constructor(stage, constants) {
    this.stage = stage;
    this.constants = constants;
    /** What is shown now, to know when it changes. */
    this.shown = "";
  }

  /**
   * @param {object} facts
   * @param {ImageInfo | null} facts.image
   * @param {Mode} facts.mode
   * @param {Overlay | null} facts.received newest overlay of the server
   * @param {(covers: number) => readonly Painted[]} facts.strokesBeyond that an overlay covering an event does not have
   * @param {number} facts.covers of the server's newest overlay, where none was received
   * @param {Overlay | null} [facts.reference] the mask to hold beside it
   */
  update({ image, mode, received, strokesBeyond, covers, reference: fetched = null }) {
    const { stage } = this;
    if (!image || stage.image?.id !== image.id) return;
    const followed = followedMode(mode);
    const base = received?.imageId === image.id && received.mode === followed ? received : null;
    const strokes = followed === "mask" ? strokesBeyond(base?.covers ?? covers) : [];
    const wanted = referenceOf(mode, image);
    const reference = fetched?.imageId === image.id && fetched.mode === wanted ? fetched : null;
    if (wanted && !reference) return; // on its way
    const shown = [image.id, mode, base?.number ?? 0, reference?.number ?? 0, ...strokes.map((one) => one.seq)].join();
    if (shown === this.shown && stage.overlay) return;
    this.shown = shown;
    const latest = mode === "imported" || mode === "prediction" ? reference : composed(base, strokes, image, this.constants);
    const overlay = reference && latest && mode === "difference" ? difference(latest, reference, this.constants.ignore) : latest;
    if (overlay) stage.setOverlay(overlay);
    else if (stage.overlay?.number === 0) stage.dropOverlay(); // a blank one, for strokes that are gone
  }
}
