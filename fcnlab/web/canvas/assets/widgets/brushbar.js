// @ts-check
import { button, h, say } from "./dom.js";

/** @typedef {import("../tools/brush.js").Brush} Brush */
/** @typedef {import("../tools/brush.js").Tool} Tool */

/** @type {[Tool, string, string][]} */
const TOOLS = [
  ["brush", "Brush", "Paint the current class over the mask (b)"],
  ["eraser", "Eraser", "Give pixels back to the mask that was predicted (e)"],
];
/** The slider goes by equal factors: thin brushes differ more by a pixel than thick ones. */
const SLIDER_STEPS = 100;

/** What is painted with, and how thick; above the picture while somebody paints. */
export class BrushBar {
  /** @param {Brush} brush */
  constructor(brush) {
    this.brush = brush;
    this.chip = h("span", { class: "chip" });
    this.className = h("span", { class: "name" });
    this.label = h("span", { class: "what" }, this.chip, this.className);
    this.tools = TOOLS.map(([tool, text, title]) => button(title, null, () => brush.take(tool), { text }));
    const choice = h("div", { class: "segments", role: "group", "aria-label": "What to paint with" }, ...this.tools);
    this.slider = h("input", { type: "range", min: 0, max: SLIDER_STEPS, step: 1, title: "Size ([ and ], or Shift+wheel)", "aria-label": "Size of the brush" });
    this.slider.addEventListener("input", () => brush.resize(this.#sizeAt(Number(this.slider.value))));
    this.size = h("span", { class: "size" });
    const leave = button("Stop painting (Esc)", "close", () => brush.leave(), { class: "small" });
    this.element = h("div", { class: "brushbar floating", role: "group", "aria-label": "Brush", hidden: true }, choice, this.label, this.slider, this.size, leave);
  }

  update() {
    const { brush } = this;
    const { scene, labelling } = brush.workspace;
    this.element.hidden = !brush.isOn || labelling.now().state === "done";
    if (this.element.hidden) return;
    TOOLS.forEach(([tool], k) => this.tools[k].setAttribute("aria-pressed", String(tool === brush.tool)));
    const isEraser = brush.tool === "eraser";
    this.chip.classList.toggle("none", isEraser);
    this.chip.style.background = isEraser ? "" : brush.colour();
    const name = scene.classes.find((label) => label.id === brush.workspace.currentClass())?.name ?? "";
    say(this.className, isEraser ? "Predicted mask" : name);
    say(this.size, `${brush.size} px`);
    const { smallest, largest } = brush.limits();
    const part = largest > smallest ? Math.log(brush.size / smallest) / Math.log(largest / smallest) : 0;
    this.slider.value = String(Math.round(part * SLIDER_STEPS));
  }

  /** @param {number} step */
  #sizeAt(step) {
    const { smallest, largest } = this.brush.limits();
    return smallest * (largest / smallest) ** (step / SLIDER_STEPS);
  }
}
