// @ts-check
import { button, h, say } from "./dom.js";

/** @typedef {"brush" | "eraser"} Painting */

/** @type {[Painting, string, string][]} */
const TOOLS = [
  ["brush", "Brush", "Paint the current class over the mask (b)"],
  ["eraser", "Eraser", "Give pixels back to the mask that was predicted (e)"],
];
/** The slider goes by equal factors: thin brushes differ more by a pixel than thick ones. */
const SLIDER_STEPS = 100;

/** What is painted with, and how thick; above the picture while somebody paints. */
export class BrushBar {
  /** @param {{onTake: (tool: Painting) => void, onResize: (size: number) => void, onLeave: () => void}} actions */
  constructor({ onTake, onResize, onLeave }) {
    this.limits = { smallest: 1, largest: 1 };
    this.chip = h("span", { class: "chip" });
    this.className = h("span", { class: "name" });
    this.label = h("span", { class: "what" }, this.chip, this.className);
    this.tools = TOOLS.map(([tool, text, title]) => button(title, null, () => onTake(tool), { text }));
    const choice = h("div", { class: "segments", role: "group", "aria-label": "What to paint with" }, ...this.tools);
    this.slider = h("input", { type: "range", min: 0, max: SLIDER_STEPS, step: 1, title: "Size ([ and ], or Shift+wheel)", "aria-label": "Size of the brush" });
    this.slider.addEventListener("input", () => onResize(this.#sizeAt(Number(this.slider.value))));
    this.size = h("span", { class: "size" });
    const leave = button("Stop painting (Esc)", "close", onLeave, { class: "small" });
    this.element = h("div", { class: "brushbar floating", role: "group", "aria-label": "Brush", hidden: true }, choice, this.label, this.slider, this.size, leave);
  }

  /**
   * @param {object} facts
   * @param {Painting | null} facts.tool null: hidden
   * @param {import("../types.js").ClassLabel | undefined} facts.label the class that is painted
   * @param {number} facts.size
   * @param {{smallest: number, largest: number}} facts.limits
   */
  update({ tool, label, size, limits }) {
    this.element.hidden = tool === null;
    if (tool === null) return;
    this.limits = limits;
    TOOLS.forEach(([own], k) => this.tools[k].setAttribute("aria-pressed", String(own === tool)));
    const isEraser = tool === "eraser";
    this.chip.classList.toggle("none", isEraser);
    this.chip.style.background = isEraser ? "" : (label?.colour ?? "#888888");
    say(this.className, isEraser ? "Predicted mask" : (label?.name ?? ""));
    say(this.size, `${size} px`);
    const { smallest, largest } = limits;
    const part = largest > smallest ? Math.log(size / smallest) / Math.log(largest / smallest) : 0;
    this.slider.value = String(Math.round(part * SLIDER_STEPS));
  }

  /** @param {number} step */
  #sizeAt(step) {
    const { smallest, largest } = this.limits;
    return smallest * (largest / smallest) ** (step / SLIDER_STEPS);
  }
}
