// @ts-check
import { button, h, icon, say } from "./dom.js";
import { isClassMap, isHeat } from "../state/modes.js";
import { DIFFERENCE_COLOUR, heatGradient } from "../view/overlay.js";
import { firstCounts, firstSteps } from "./messages.js";

/** @typedef {import("../types.js").ClassLabel} ClassLabel */

/** What floats above the picture: first steps, the banner of a done image, the scale of a heat map, what is missing. */
export class Notes {
  /**
   * @param {{onReopen: () => void, onHintClose: () => void, onTake: (isDone: boolean) => void, onKeep: () => void}} actions
   *   onKeep: points are not removed any more
   */
  constructor({ onReopen, onHintClose, onTake, onKeep }) {
    const reopen = button("Work on this image again", "reopen", onReopen, { text: "Reopen", class: "text" });
    this.banner = h("div", { class: "banner floating", hidden: true }, icon("check"), h("span", {}, "This image is done"), reopen);
    const use = button("Lay the imported mask over the prediction, to work on it; undo takes it back", null, () => onTake(false), { text: "Use it", class: "text" });
    const finish = button("Use the imported mask as it is, mark the image done and go to the next", null, () => onTake(true), { text: "Use it and mark done", class: "text" });
    this.taking = h("div", { class: "banner floating", hidden: true }, icon("image"), h("span", {}, "The imported mask"), use, finish);
    const keep = button("Stop removing points (Esc)", "close", onKeep, { text: "Stop", class: "text" });
    this.removing = h("div", { class: "banner removing floating", hidden: true }, icon("remove"), h("span", {}, "Each click on a point removes it"), keep);
    this.steps = h("ol");
    const head = h("div", { class: "head" }, h("span", { class: "heading" }, "First steps"), button("Do not show the first steps again", "close", onHintClose, { class: "small" }));
    this.hint = h("div", { class: "hint", role: "note", hidden: true }, head, this.steps);
    this.ramp = h("span", { class: "ramp" });
    this.rampName = h("span", { class: "name" });
    this.rampEnds = [h("span", { class: "end" }, "0"), h("span", { class: "end" }, "1")];
    this.legend = h("div", { class: "legend floating", hidden: true }, this.rampName, this.rampEnds[0], this.ramp, this.rampEnds[1]);
    this.emptyTitle = h("p", { class: "title" });
    this.emptyText = h("p");
    this.emptyLink = h("a", { class: "button text primary", target: "_self" }, "Add images");
    this.empty = h("div", { class: "empty", hidden: true }, icon("image"), this.emptyTitle, this.emptyText, this.emptyLink);
    this.veilText = h("span");
    this.veil = h("div", { class: "veil", hidden: true }, h("span", { class: "spinner" }), this.veilText);
    this.typed = h("div", { class: "typed floating", hidden: true });
    this.elements = [this.empty, this.veil, this.banner, this.taking, this.removing, this.legend, this.typed];
  }

  /**
   * @param {boolean} isShown
   * @param {readonly ClassLabel[]} classes
   * @param {{currentId: number, counts: boolean}} facts class of the next click; whether the project counts
   */
  setHint(isShown, classes, { currentId, counts }) {
    this.hint.hidden = !isShown;
    if (!isShown) return;
    const steps = counts ? firstCounts(classes, currentId) : firstSteps(classes, currentId);
    if (steps.join("\n") === this.steps.dataset.text) return;
    this.steps.dataset.text = steps.join("\n");
    this.steps.replaceChildren(...steps.map((step) => h("li", {}, step)));
  }

  /** @param {import("../types.js").Mode} mode @param {boolean} isShown @param {string} words what the colours mean
   * @param {readonly [string, string]} [ends] of a ramp */
  setLegend(mode, isShown, words, ends = ["0", "1"]) {
    this.legend.hidden = !isShown || isClassMap(mode);
    if (this.legend.hidden) return;
    const isRamp = isHeat(mode);
    this.ramp.style.background = isHeat(mode) ? heatGradient(mode) : DIFFERENCE_COLOUR;
    this.ramp.classList.toggle("swatch", !isRamp);
    this.rampEnds.forEach((end, k) => {
      end.hidden = !isRamp;
      say(end, ends[k]);
    });
    say(this.rampName, words);
  }

  /** @param {boolean} hasImage @param {number} nImages @param {string} projects address of the page where images are added */
  setEmpty(hasImage, nImages, projects) {
    this.empty.hidden = hasImage;
    say(this.emptyTitle, nImages ? "No image chosen" : "No images yet");
    say(this.emptyText, nImages ? "Choose one below." : "Add some on the Projects page.");
    this.emptyLink.hidden = nImages > 0;
    this.emptyLink.href = projects;
  }

  /** @param {"loading" | "failed" | "shown"} state */
  setPicture(state) {
    this.veil.hidden = state === "shown";
    say(this.veilText, state === "failed" ? "The image did not load. Trying again…" : "Loading the image…");
  }

  /** @param {string | null} digits */
  setTyped(digits) {
    this.typed.hidden = digits === null;
    say(this.typed, `Class ${digits || "…"}`);
  }
}
