// @ts-check
import { button, h, say } from "./dom.js";
import { counted } from "./messages.js";

/** @typedef {import("../tools/review.js").Review} Review */

/** What the walk through the objects asks, and the keys that answer. */
export class ReviewBar {
  /** @param {Review} review */
  constructor(review) {
    this.review = review;
    this.question = h("span", { class: "question", role: "status", "aria-live": "polite" });
    this.place = h("span", { class: "place" });
    const leave = button("Leave the review (Esc)", "close", () => review.leave(), { class: "small" });
    this.note = h("p", { class: "note" });
    this.accept = button("It is: its centre becomes a point (a)", null, () => review.accept(), { key: "a", text: "Yes", class: "text" });
    this.accept.classList.add("primary");
    this.reject = button("It is none: its centre becomes a background point (d)", null, () => review.reject(), { key: "d", text: "No object", class: "text" });
    this.skip = button("Leave it open (s)", null, () => review.skip(), { key: "s", text: "Skip", class: "text" });
    this.back = button("Back to the object before (z)", null, () => review.back(), { key: "z", text: "Back", class: "text" });
    const done = () => review.counting.workspace.finish();
    this.next = button("Say that all objects of this image are marked, and go on (Enter)", null, done, { key: "Enter", text: "All marked, next image", class: "text" });
    const head = h("div", { class: "head" }, this.question, this.place, h("span", { class: "gap" }), leave);
    const tail = h("div", { class: "tail" }, this.accept, this.reject, this.skip, this.back, this.next);
    this.element = h("div", { class: "prompt floating", role: "group", "aria-label": "Review", hidden: true }, head, this.note, h("div", { class: "body" }, tail));
  }

  update() {
    const { review } = this;
    const { current, steps, counting } = review;
    this.element.hidden = !review.isOn;
    if (!review.isOn) return;
    const { classes } = counting.workspace.scene;
    const name = classes.find((label) => label.id === current?.classId)?.name ?? "";
    say(this.question, current ? `Is this: ${name}?` : this.#outcome());
    say(this.place, current ? `${Math.round(100 * current.score)} % sure, ${review.nLeft()} to go` : "");
    say(this.note, current && classes.length > 2 ? "Another class: press its number." : "");
    for (const tool of [this.accept, this.reject, this.skip]) tool.hidden = !current;
    this.back.disabled = steps.length === 0;
    this.next.hidden = current !== null || counting.objects.length === 0;
  }

  #outcome() {
    const { steps, counting } = this.review;
    if (counting.objects.length === 0) return "Nothing was counted here yet.";
    const skipped = steps.filter((step) => !step.isAnswer).length;
    if (skipped) return `Nothing is left but ${counted(skipped, "skipped object")}.`;
    return "Every object found is confirmed. Look for those that were missed.";
  }
}
