// @ts-check
import { button, h, say, swapIcon } from "./dom.js";
import { isClassMap } from "../state/modes.js";
import { DEFAULT_DISPLAY } from "../state/settings.js";
import { counted } from "./messages.js";

/** @typedef {import("../state/settings.js").Display} Display */
/** @typedef {import("../types.js").Mode} Mode */

/**
 * @typedef {object} ToolActions
 * @property {() => void} undo
 * @property {() => void} redo
 * @property {(anchor: Element) => void} clear
 * @property {() => void} fit
 * @property {() => void} ask
 * @property {(tool: import("./brushbar.js").Painting | "remover") => void} take
 * @property {() => void} help
 * @property {() => void} previous
 * @property {() => void} next
 * @property {() => void} done
 * @property {() => void} reopen
 * @property {() => void} complete
 * @property {(change: Partial<Display>) => void} show
 */

/** @param {boolean} counts @returns {[Mode, string, string][]} */
function modesOf(counts) {
  return [
    counts ? ["mask", "Objects", "The objects that were found (h)"] : ["mask", "Classes", "The class of every pixel (h)"],
    ["probability", "Probability", "How likely the current class is (h)"],
    ["uncertainty", "Uncertainty", "Where the learner is unsure (h)"],
    ["grade", "Grade", "The grade to expect, also between two grades (h)"],
  ];
}

/** Modes that some images offer. @type {[Mode, string, string][]} */
const REFERENCES = [
  ["prediction", "Prediction", "The mask that would be kept if the image were marked done now (h)"],
  ["imported", "Imported", "The mask that came from another tool (h)"],
  ["difference", "Difference", "Where the mask shown differs from the imported one, else from a new prediction (h)"],
];

/** The buttons above the picture. */
export class Toolbar {
  /** @param {ToolActions} actions @param {import("./popover.js").Popovers} popovers @param {boolean} counts whether the project counts */
  constructor(actions, popovers, counts) {
    this.actions = actions;
    this.popovers = popovers;
    this.counts = counts;
    this.choices = [...modesOf(counts), ...REFERENCES];
    this.undo = button("Undo (z)", "undo", actions.undo);
    this.redo = button("Redo (Shift+z)", "redo", actions.redo);
    this.clear = button(counts ? "Remove all points of this image" : "Remove all points and strokes of this image", "clear", () => actions.clear(this.clear));
    this.remover = button("Remove single points: each click on a point removes it", "remove", () => actions.take("remover"));
    this.fit = button("Fit the image (f)", "fit", actions.fit);
    this.eye = button("Hide or show the overlay (v)", "eye", () => actions.show({ overlay: !this.display.overlay }));
    this.opacity = range("Opacity of the overlay ([ and ])", 0.05, 1, (opacity) => actions.show({ opacity, overlay: true }));
    this.contour = button("Outlines instead of areas (o)", "contour", () => actions.show({ contour: !this.display.contour }));
    this.modes = this.choices.map(([mode, text, title]) => button(title, null, () => actions.show({ mode, overlay: true }), { text }));
    this.light = button("Brightness, contrast, background", "sun", () => this.#adjust());
    this.previous = button("Previous image (p)", "previous", actions.previous);
    this.next = button("Next image (n)", "next", actions.next);
    this.place = h("span", { class: "place" });
    this.name = h("span", { class: "name" });
    this.ask = counts
      ? button("Review: walk through the objects that nobody confirmed, the least sure first (q)", "ask", actions.ask, { text: "Review" })
      : button("Suggest pixels, which you answer by the key of a class (q)", "ask", actions.ask, { text: "Suggest pixels", class: "suggest" });
    this.brush = button("Brush: paint over the mask (b)", "brush", () => actions.take("brush"));
    this.eraser = button("Eraser: back to the mask that was predicted (e)", "eraser", () => actions.take("eraser"));
    this.done = button("Mark the image done and go to the next (Enter)", "check", () => this.#finish(), { text: "Done", class: "primary done" });
    this.help = button("Mouse and keys (?)", "keys", actions.help, { class: "keys" });
    /** @type {Display} */
    this.display = DEFAULT_DISPLAY;
    this.isDone = false;
    this.element = h(
      "div",
      { class: "toolbar", role: "toolbar", "aria-label": "Tools" },
      h("div", { class: "group" }, this.undo, this.redo, this.remover, this.clear),
      h("div", { class: "group" }, this.ask, ...(counts ? [] : [this.brush, this.eraser])),
      h("div", { class: "group" }, this.fit, this.light),
      h("div", { class: "group" }, this.eye, this.opacity, this.contour, h("div", { class: "segments" }, ...this.modes)),
      h("span", { class: "gap" }),
      h("div", { class: "group image" }, this.name, this.previous, this.place, this.next),
      h("div", { class: "group" }, this.done, this.help),
    );
  }

  /** @param {readonly Mode[]} offered by this image @param {boolean} isDone */
  setModes(offered, isDone) {
    this.choices.forEach(([mode], k) => {
      this.modes[k].hidden = !offered.includes(mode);
    });
    if (!this.counts) say(/** @type {Element} */ (this.modes[0].querySelector(".label")), isDone ? "Kept" : "Classes");
  }

  /** @param {Display} display */
  setDisplay(display) {
    this.display = display;
    swapIcon(this.eye, display.overlay ? "eye" : "eyeOff");
    press(this.eye, display.overlay);
    press(this.contour, display.contour);
    this.contour.disabled = !isClassMap(display.mode);
    this.opacity.value = String(display.opacity);
    this.opacity.disabled = !display.overlay || (display.contour && isClassMap(display.mode));
    this.choices.forEach(([mode], k) => press(this.modes[k], mode === display.mode));
    this.light.classList.toggle("touched", display.brightness !== 1 || display.contrast !== 1);
  }

  /** @param {boolean} isOn */
  setAsking(isOn) {
    press(this.ask, isOn);
  }

  /** @param {import("../state/page.js").ToolName} tool */
  setTool(tool) {
    press(this.remover, tool === "remover");
    press(this.brush, tool === "brush");
    press(this.eraser, tool === "eraser");
  }

  /**
   * @param {import("../types.js").ImageInfo | null} image as it stands in the shown order
   * @param {{nImages: number, isDone: boolean, nMarks: number, isComplete: boolean, nObjects: number, nOpen: number, canUndo: boolean, canRedo: boolean}} facts
   *   nMarks: points and strokes; nObjects, nOpen: of a project that counts, marked and found ones nobody accepted
   */
  setImage(image, { nImages, isDone, nMarks, isComplete, nObjects, nOpen, canUndo, canRedo }) {
    this.isDone = isDone;
    say(this.name, image?.name ?? "");
    this.name.title = image ? `${image.name}, ${image.width} × ${image.height}` : "";
    say(this.place, image ? `${image.position + 1} / ${nImages}` : "");
    this.previous.disabled = image?.previous_id == null;
    this.next.disabled = image?.next_id == null;
    for (const tool of [this.fit, this.done, this.ask]) tool.disabled = !image;
    this.undo.disabled = !canUndo;
    this.redo.disabled = !canRedo;
    this.clear.disabled = !image || isDone || nMarks === 0;
    this.brush.disabled = this.eraser.disabled = this.remover.disabled = !image || isDone;
    if (this.counts && !isDone) {
      this.#setComplete(isComplete, nObjects, nOpen);
      return;
    }
    this.done.removeAttribute("aria-pressed");
    swapIcon(this.done, isDone ? "reopen" : "check");
    say(/** @type {Element} */ (this.done.querySelector(".label")), isDone ? "Reopen" : "Done");
    this.done.title = isDone ? "Work on this image again" : "Mark the image done and go to the next (Enter)";
    this.done.classList.toggle("primary", !isDone);
  }

  /**
   * In a project that counts, all marked stands for done.
   * @param {boolean} isComplete @param {number} nObjects @param {number} nOpen
   */
  #setComplete(isComplete, nObjects, nOpen) {
    swapIcon(this.done, isComplete ? "ticked" : "unticked");
    const isEmpty = nObjects === 0 && (isComplete || nOpen === 0);
    say(/** @type {Element} */ (this.done.querySelector(".label")), isEmpty ? "No objects here" : "All marked");
    const what = isEmpty ? "there are no objects here" : "all objects are marked";
    const asks = nOpen ? `; asks about ${counted(nOpen, "found object")} first` : "";
    this.done.title = isComplete ? `You said that ${what}. Click to take it back (t)` : `Say that ${what}${asks} (t; Enter also goes to the next image)`;
    this.done.classList.toggle("primary", !isComplete && nOpen === 0);
    press(this.done, isComplete);
  }

  #finish() {
    if (this.isDone) this.actions.reopen();
    else if (this.counts) this.actions.complete();
    else this.actions.done();
  }

  #adjust() {
    const { display, actions } = this;
    const brightness = range("Brightness", 0.3, 3, (value) => actions.show({ brightness: value }));
    const contrast = range("Contrast", 0.3, 4, (value) => actions.show({ contrast: value }));
    brightness.value = String(display.brightness);
    contrast.value = String(display.contrast);
    const background = h("input", { type: "checkbox", change: () => actions.show({ background: background.checked }) });
    background.checked = display.background;
    const reset = () => {
      brightness.value = contrast.value = "1";
      actions.show({ brightness: 1, contrast: 1 });
    };
    const panel = h(
      "div",
      { class: "adjust" },
      h("label", {}, h("span", {}, "Brightness"), brightness),
      h("label", {}, h("span", {}, "Contrast"), contrast),
      h("div", { class: "row end" }, h("button", { type: "button", class: "button text", click: reset }, "Reset")),
      h("hr"),
      h("label", { class: "check" }, background, h("span", {}, "Tint the background class too")),
    );
    this.popovers.toggle(this.light, panel, { label: "Display" });
  }
}

/** @param {string} title @param {number} min @param {number} max @param {(value: number) => void} act */
function range(title, min, max, act) {
  const input = h("input", { type: "range", title, "aria-label": title.replace(/ \(.*\)$/, ""), min, max, step: 0.05 });
  input.addEventListener("input", () => act(Number(input.value)));
  return input;
}

/** @param {Element} element @param {boolean} on */
function press(element, on) {
  element.setAttribute("aria-pressed", String(on));
}
