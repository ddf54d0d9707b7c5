// @ts-check
import { button, h, say } from "../widgets/dom.js";
import { keyOf } from "./keys.js";

/** @typedef {import("./answering.js").Survey} Survey */
/**
 * @typedef {object} Actions
 * @property {(value: number) => void} onAnswer
 * @property {() => void} onBack
 * @property {(step: -1 | 1) => void} onLook
 * @property {(step: -1 | 1) => void} onZoom
 * @property {() => void} onLeave
 */

/** What is on the page while points are answered: the image around the point, the classes, how far one is. */
export class Sheet {
  /** @param {HTMLElement} root @param {Actions} actions */
  constructor(root, { onAnswer, onBack, onLook, onZoom, onLeave }) {
    this.onAnswer = onAnswer;
    this.name = h("h2", { class: "name" });
    this.bar = h("span", { class: "bar" });
    this.meter = h("div", { class: "meter", role: "progressbar", "aria-label": "Points answered", "aria-valuemin": 0 }, this.bar);
    this.place = h("span", { class: "place" });
    const leave = button("To the report", null, onLeave, { text: "To the report", class: "text" });
    const head = h("div", { class: "head" }, this.name, this.meter, this.place, leave);

    this.detail = h("canvas", { class: "detail", role: "img", "aria-label": "Around the point" });
    this.overview = h("canvas", { class: "overview", role: "img", "aria-label": "The whole image" });
    this.loading = h("p", { class: "loading", role: "status", hidden: true });
    const zooms = [button("Zoom in (+)", "plus", () => onZoom(1)), button("Zoom out (-)", "minus", () => onZoom(-1))];
    const loupe = h("div", { class: "loupe" }, this.detail, this.loading, h("div", { class: "zooms" }, ...zooms));
    this.question = h("p", { class: "question", role: "status", "aria-live": "polite" });
    this.answers = h("div", { class: "answers", role: "group", "aria-label": "Classes" });
    this.rest = h("div", { class: "rest" });
    const side = h("div", { class: "side" }, this.overview, this.question, this.answers, this.rest);
    this.main = h("div", { class: "main" }, loupe, side);

    this.overWords = h("p");
    const report = button("To the report", null, onLeave, { text: "To the report", class: "text primary" });
    this.over = h("div", { class: "over", role: "status", hidden: true }, this.overWords, report);

    this.earlier = button("Look at the point before (←)", "previous", () => onLook(-1));
    this.later = button("Look at the next point (→)", "next", () => onLook(1));
    this.back = button("Take the last answer back and ask again (z)", null, onBack, { key: "z", text: "Back", class: "text" });
    this.image = h("span", { class: "image" });
    this.saved = h("span", { class: "saved", role: "status", "aria-live": "polite" });
    this.problem = h("p", { class: "problem", role: "alert", hidden: true });
    const foot = h("div", { class: "foot" }, this.earlier, this.later, this.back, this.image, this.saved);
    root.replaceChildren(head, this.problem, this.main, this.over, foot);
    /** The buttons that answer. @type {{tool: HTMLButtonElement, value: number}[]} */
    this.tools = [];
    this.shown = "";
  }

  /** The classes with their keys, built again only when they changed. @param {Survey} survey */
  setClasses({ classes, unknown }) {
    const shown = JSON.stringify(classes);
    if (shown === this.shown) return;
    this.shown = shown;
    this.tools = classes.map(([id, name, colour], place) => {
      const tool = button(`Answer: ${name}`, null, () => this.onAnswer(id), { key: keyOf(place), class: "answer" });
      tool.append(h("span", { class: "chip", style: `background:${colour}` }), h("span", { class: "label" }, name));
      return { tool, value: id };
    });
    const dont = button("Nobody can tell what this is", null, () => this.onAnswer(unknown), { key: "u", text: "Don't know", class: "answer unknown" });
    this.answers.replaceChildren(...this.tools.map(({ tool }) => tool));
    this.rest.replaceChildren(dont);
    this.tools.push({ tool: dont, value: unknown });
  }

  /** @param {number} n answered @param {number} total */
  setProgress(n, total) {
    this.bar.style.width = `${total ? (100 * n) / total : 0}%`;
    this.meter.setAttribute("aria-valuenow", String(n));
    this.meter.setAttribute("aria-valuemax", String(total));
  }

  /** What was answered to the point that is shown. @param {number | null} answer */
  setAnswer(answer) {
    for (const { tool, value } of this.tools) tool.setAttribute("aria-pressed", String(value === answer));
    say(this.question, answer === null ? "What is at the centre of the ring?" : "Answered. Another key changes it.");
    this.later.disabled = answer === null;
  }

  /** @param {string} problem */
  setProblem(problem) {
    say(this.problem, problem);
    this.problem.hidden = !problem;
  }
}
