// @ts-check
import { button, h, say } from "./dom.js";
import { counted } from "./messages.js";

/** @typedef {import("../tools/query.js").QueryState} QueryState */
/** @typedef {import("../tools/query.js").Strategy} Strategy */
/** @typedef {import("../types.js").ClassLabel} ClassLabel */

/** More classes than this are left to the class bar. */
const CLASSES_SHOWN = 9;

/** @type {[Strategy, string, string][]} */
const STRATEGIES = [
  ["margin", "Uncertain", "Pixels the learner is unsure about: they teach it most"],
  ["random", "Random", "Pixels from anywhere: only answers to these tell how good a model is"],
];

/** What query mode asks, and the keys that answer. */
export class Prompt {
  /**
   * @param {object} actions
   * @param {(classId: number) => void} actions.onAnswer
   * @param {(act: "skip" | "unsure") => void} actions.onPass
   * @param {() => void} actions.onBack
   * @param {() => void} actions.onMore
   * @param {() => void} actions.onNext
   * @param {(strategy: Strategy) => void} actions.onStrategy
   * @param {() => void} actions.onLeave
   * @param {number} round so many pixels are asked at a time
   */
  constructor({ onAnswer, onPass, onBack, onMore, onNext, onStrategy, onLeave }, round) {
    this.onAnswer = onAnswer;
    this.spinner = h("span", { class: "spinner" });
    this.question = h("span", { class: "question", role: "status", "aria-live": "polite" });
    this.place = h("span", { class: "place" });
    this.strategies = STRATEGIES.map(([strategy, text, title]) => button(title, null, () => onStrategy(strategy), { text }));
    this.choice = h("div", { class: "segments", role: "group", "aria-label": "Which pixels" }, ...this.strategies);
    const leave = button("Leave the suggestions (Esc)", "close", onLeave, { class: "small" });
    this.classes = h("div", { class: "answers" });
    this.note = h("p", { class: "note" });
    this.skip = button("Ask this another day (s)", null, () => onPass("skip"), { key: "s", text: "Skip", class: "text" });
    this.unsure = button("Nobody can tell what this is (u)", null, () => onPass("unsure"), { key: "u", text: "Unsure", class: "text" });
    this.back = button("Back to the pixel before (z)", null, onBack, { key: "z", text: "Back", class: "text" });
    this.more = button("Ask about more pixels of this image (m)", null, onMore, { key: "m", text: `${round} more here`, class: "text" });
    this.next = button("On to the most informative image (Enter)", null, onNext, { key: "Enter", text: "Next image", class: "text" });
    this.next.classList.add("primary");
    const head = h("div", { class: "head" }, this.spinner, this.question, this.place, h("span", { class: "gap" }), this.choice, leave);
    const tail = h("div", { class: "tail" }, this.skip, this.unsure, this.back, this.more, this.next);
    this.element = h("div", { class: "prompt floating", role: "group", "aria-label": "Suggested pixels", hidden: true }, head, this.note, h("div", { class: "body" }, this.classes, tail));
    this.shown = "";
  }

  /** @param {QueryState | null} query null: hidden @param {readonly ClassLabel[]} classes */
  update(query, classes) {
    this.element.hidden = query === null;
    if (query === null) return;
    const { phase, strategy, asked, place } = query;
    const isAsking = phase === "asking";
    say(this.question, questionOf(query));
    say(this.place, isAsking ? `${place.number} of ${place.of}` : "");
    this.spinner.hidden = phase !== "waiting";
    say(this.note, strategy === "margin" && asked?.source === "random_query" ? "No mask yet: these pixels are drawn at random." : "");
    STRATEGIES.forEach(([own], k) => this.strategies[k].setAttribute("aria-pressed", String(own === strategy)));
    this.choice.hidden = phase === "done";
    this.#list(isAsking ? classes : []);
    for (const tool of [this.skip, this.unsure]) tool.hidden = !isAsking;
    this.back.hidden = !isAsking && phase !== "over";
    this.back.disabled = !query.canGoBack;
    this.more.hidden = phase !== "over" && phase !== "failed";
    this.next.hidden = phase === "waiting" || isAsking;
  }

  /** The classes with their keys, built again only when they changed. @param {readonly ClassLabel[]} classes */
  #list(classes) {
    const shown = classes.map(({ id, name, colour }) => `${id} ${name} ${colour}`).join("\n");
    if (shown === this.shown) return;
    this.shown = shown;
    const tools = classes.slice(0, CLASSES_SHOWN).map((label, place) => {
      const tool = button(`Answer: ${label.name}`, null, () => this.onAnswer(label.id), { key: String(place + 1), class: "text answer" });
      tool.append(h("span", { class: "chip", style: `background:${label.colour}` }), h("span", { class: "name" }, label.name));
      return tool;
    });
    const others = classes.length - CLASSES_SHOWN;
    const more = others > 0 ? h("span", { class: "others" }, h("kbd", {}, "g"), `, then a number: ${counted(others, "more class", "more classes")}`) : null;
    this.classes.replaceChildren(...tools, ...(more ? [more] : []));
  }
}

/** @param {QueryState} query */
function questionOf({ phase, problem, tally: { answer, skip, unsure } }) {
  if (phase === "asking") return "What is in the ring?";
  if (phase === "waiting") return "Choosing pixels…";
  if (phase === "done") return "This image is done.";
  if (phase === "none") return "No pixel is left to ask about.";
  if (phase === "failed") return problem;
  const rest = [skip && `${skip} skipped`, unsure && `${unsure} unsure`].filter(Boolean);
  return [`${counted(answer, "pixel")} answered`, ...rest].join(", ");
}
