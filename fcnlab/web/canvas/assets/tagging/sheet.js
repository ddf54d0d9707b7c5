// @ts-check
import { button, h, say } from "../widgets/dom.js";
import { counted } from "../widgets/messages.js";
import { keyOf } from "./keys.js";
import { suggestedBy } from "./tagging.js";

/** @typedef {import("./tagging.js").Answer} Answer */
/** @typedef {import("./tagging.js").Tag} Tag */
/** @typedef {{element: HTMLElement, words: HTMLElement, bar: HTMLElement, percent: HTMLElement, suggestion: HTMLElement, choices: {tool: HTMLButtonElement, answer: Answer}[]}} Row */
/**
 * @typedef {object} Actions
 * @property {(classId: number, answer: Answer) => void} onSet
 * @property {() => void} onAccept
 * @property {() => void} onDoubtful
 * @property {(step: -1 | 1) => void} onGo
 * @property {() => void} onUndo
 * @property {() => void} onRedo
 */

/** @type {[answer: Answer, text: string, title: string][]} */
const CHOICES = [
  ["yes", "Yes", "is in this image"],
  [null, "?", "unknown: nobody said"],
  ["no", "No", "is not in this image"],
];

/** What is on the page while images are tagged: the image, its classes with what is said of each, how far one is. */
export class Sheet {
  /** @param {HTMLElement} root @param {Actions} actions */
  constructor(root, { onSet, onAccept, onDoubtful, onGo, onUndo, onRedo }) {
    this.onSet = onSet;
    this.place = h("span", { class: "place" });
    this.bar = h("span", { class: "bar" });
    this.meter = h("div", { class: "meter", role: "progressbar", "aria-label": "Images with all tags", "aria-valuemin": 0 }, this.bar);
    this.progress = h("span", { class: "place" });
    this.looking = h("span", { class: "looking", role: "status" });
    const head = h("div", { class: "head" }, this.place, this.meter, this.progress, this.looking);

    this.picture = h("canvas", { class: "detail", role: "img", "aria-label": "The image" });
    this.loading = h("p", { class: "loading", role: "status", hidden: true });
    const loupe = h("div", { class: "loupe" }, this.picture, this.loading);
    this.rows = h("div", { class: "rows" });
    this.hint = h("p", { class: "hint", hidden: true });
    this.accept = button("Answer the unknown classes of this image as suggested (a or space)", null, onAccept, { key: "a", text: "Accept suggestions", class: "text" });
    this.doubtful = button("To the image that is most in doubt (Enter)", null, onDoubtful, { key: "Enter", text: "Next in doubt", class: "text primary" });
    const side = h("div", { class: "side" }, this.rows, this.hint, h("div", { class: "acts" }, this.accept, this.doubtful));
    this.main = h("div", { class: "main" }, loupe, side);

    this.previous = button("The image before (p or ←)", "previous", () => onGo(-1));
    this.next = button("The next image (n or →)", "next", () => onGo(1));
    this.undo = button("Undo (z)", "undo", onUndo);
    this.redo = button("Redo (Shift+z)", "redo", onRedo);
    this.image = h("span", { class: "image" });
    this.saved = h("span", { class: "saved", role: "status", "aria-live": "polite" });
    this.problem = h("p", { class: "problem", role: "alert", hidden: true });
    const foot = h("div", { class: "foot" }, this.previous, this.next, this.undo, this.redo, this.image, this.saved);
    root.replaceChildren(head, this.problem, this.main, foot);
    /** By class. @type {Map<number, Row>} */
    this.byClass = new Map();
    this.shown = "";
  }

  /** The classes with their keys, built again only when they changed. @param {[id: number, name: string, colour: string][]} classes */
  setClasses(classes) {
    const shown = JSON.stringify(classes);
    if (shown === this.shown) return;
    this.shown = shown;
    this.byClass = new Map(classes.map(([id, name, colour], place) => [id, this.#row(id, name, colour, place)]));
    this.rows.replaceChildren(...[...this.byClass.values()].map(({ element }) => element));
  }

  /** @param {number} id @param {string} name @param {string} colour @param {number} place @returns {Row} */
  #row(id, name, colour, place) {
    const bar = h("span", { class: "bar" });
    const percent = h("span", { class: "percent" });
    const suggestion = h("span", { class: "suggestion", hidden: true }, h("span", { class: "track" }, bar), percent);
    const words = h("span", { class: "words" });
    const choices = CHOICES.map(([answer, text, title]) => ({ answer, tool: button(`${name} ${title}`, null, () => this.onSet(id, answer), { text, class: "choice" }) }));
    const about = h("span", { class: "about" }, h("span", { class: "label", title: name }, name), suggestion, words);
    const group = h("span", { class: "choices", role: "group", "aria-label": name }, ...choices.map(({ tool }) => tool));
    const element = h("div", { class: "tag", "data-class": id }, h("kbd", {}, keyOf(place)), h("span", { class: "chip", style: `background:${colour}` }), about, group);
    return { element, words, bar, percent, suggestion, choices };
  }

  /** What is said of a class in the image shown. @param {number} classId @param {Tag} tag */
  setTag(classId, { answer, labelled, labelledBy, probability, isContradicted }) {
    const row = this.byClass.get(classId);
    if (!row) return;
    const isUnknown = answer === null && labelled === null;
    for (const choice of row.choices) {
      choice.tool.setAttribute("aria-pressed", String(choice.answer === answer && (answer !== null || isUnknown)));
      choice.tool.dataset.implied = answer === null && labelled !== null && choice.answer === labelled ? "1" : "";
    }
    const source = labelledBy.replace("from ", "");
    row.element.dataset.state = isContradicted ? "contradicted" : isUnknown ? "unknown" : (answer ?? labelled ?? "");
    say(row.words, isContradicted ? `Answered ${answer}, but ${source} ${source === "mask" ? "says" : "say"} ${labelled}` : answer === null && labelled !== null ? `${labelled}, ${labelledBy}` : "");
    const share = isUnknown ? probability : null;
    row.suggestion.hidden = share === null;
    if (share === null) return;
    row.bar.style.width = `${100 * share}%`;
    row.suggestion.dataset.answer = suggestedBy(share) ?? "";
    say(row.percent, `${Math.min(99, Math.max(1, Math.round(100 * share)))} %`);
    row.suggestion.title = `Suggested: ${suggestedBy(share)}, with a probability of ${row.percent.textContent} that it is there`;
  }

  /** @param {number} n answers that would be accepted */
  setSuggested(n) {
    this.accept.disabled = n === 0;
    const label = this.accept.querySelector(".label");
    if (label) say(label, n ? `Accept ${counted(n, "suggestion")}` : "Accept suggestions");
  }

  /** @param {number} known images of which every tag is known @param {number} total */
  setProgress(known, total) {
    this.bar.style.width = `${total ? (100 * known) / total : 0}%`;
    this.meter.setAttribute("aria-valuenow", String(known));
    this.meter.setAttribute("aria-valuemax", String(total));
    say(this.progress, `${known} of ${counted(total, "image")} tagged`);
  }

  /** @param {string} problem */
  setProblem(problem) {
    say(this.problem, problem);
    this.problem.hidden = !problem;
  }

  /** @param {string} words */
  setHint(words) {
    say(this.hint, words);
    this.hint.hidden = !words;
  }
}
