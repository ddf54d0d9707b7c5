// @ts-check
import { button, h, say } from "./dom.js";
import { counted } from "./messages.js";

/** @typedef {import("../tools/review.js").ReviewState} ReviewState */

/** What the walk through the objects asks, and the keys that answer. */
export class ReviewBar {
  /** @param {Record<"onAccept" | "onReject" | "onSkip" | "onBack" | "onNext" | "onLeave", () => void>} actions */
  constructor({ onAccept, onReject, onSkip, onBack, onNext, onLeave }) {
    this.question = h("span", { class: "question", role: "status", "aria-live": "polite" });
    this.place = h("span", { class: "place" });
    const leave = button("Leave the review (Esc)", "close", onLeave, { class: "small" });
    this.note = h("p", { class: "note" });
    this.accept = button("It is: its centre becomes a point (a)", null, onAccept, { key: "a", text: "Yes", class: "text" });
    this.accept.classList.add("primary");
    this.reject = button("It is none: its centre becomes a background point (d)", null, onReject, { key: "d", text: "No object", class: "text" });
    this.skip = button("Leave it open (s)", null, onSkip, { key: "s", text: "Skip", class: "text" });
    this.back = button("Back to the object before (z)", null, onBack, { key: "z", text: "Back", class: "text" });
    this.next = button("Say that all objects of this image are marked, and go on (Enter)", null, onNext, { key: "Enter", text: "All marked, next image", class: "text" });
    const head = h("div", { class: "head" }, this.question, this.place, h("span", { class: "gap" }), leave);
    const tail = h("div", { class: "tail" }, this.accept, this.reject, this.skip, this.back, this.next);
    this.element = h("div", { class: "prompt floating", role: "group", "aria-label": "Review", hidden: true }, head, this.note, h("div", { class: "body" }, tail));
  }

  /**
   * @param {ReviewState | null} review null: hidden
   * @param {{classes: readonly import("../types.js").ClassLabel[], nLeft: number, nObjects: number}} facts nLeft: objects to look at;
   *   nObjects: all that were found
   */
  update(review, { classes, nLeft, nObjects }) {
    this.element.hidden = review === null;
    if (review === null) return;
    const { asked, canGoBack } = review;
    const name = classes.find((label) => label.id === asked?.classId)?.name ?? "";
    say(this.question, asked ? `Is this: ${name}?` : outcomeOf(review, nObjects));
    say(this.place, asked ? `${Math.round(100 * asked.score)} % sure, ${nLeft} to go` : "");
    say(this.note, asked && classes.length > 2 ? "Another class: press its number." : "");
    for (const tool of [this.accept, this.reject, this.skip]) tool.hidden = !asked;
    this.back.disabled = !canGoBack;
    this.next.hidden = asked !== null || nObjects === 0;
  }
}

/** @param {ReviewState} review @param {number} nObjects */
function outcomeOf({ nSkipped }, nObjects) {
  if (nObjects === 0) return "Nothing was counted here yet.";
  if (nSkipped) return `Nothing is left but ${counted(nSkipped, "skipped object")}.`;
  return "Every object found is confirmed. Look for those that were missed.";
}
