// @ts-check
/** @typedef {"answer" | "skip" | "unsure"} Act */

/**
 * What is asked about in one image, pixels or objects, round after round: which is next, what became of the others.
 * @template Asked
 */
export class Walk {
  constructor() {
    /** @type {Asked[]} */
    this.asked = [];
    /** What was done with the first of them; the next one is being asked. @type {Act[]} */
    this.acts = [];
    /** What was taken back, the last one first. @type {Act[]} */
    this.undone = [];
    /** Where each round begins. @type {number[]} */
    this.rounds = [];
  }

  /** What is being asked; null at the end of a round. @returns {Asked | null} */
  get current() {
    return this.asked[this.acts.length] ?? null;
  }

  /** A further round. @param {readonly Asked[]} asked */
  extend(asked) {
    this.rounds.push(this.asked.length);
    this.asked.push(...asked);
  }

  /** Forget what was not asked yet, to ask otherwise. */
  cut() {
    this.asked.length = this.acts.length;
    this.undone = [];
    while (this.rounds.length && this.rounds[this.rounds.length - 1] >= this.asked.length) this.rounds.pop();
  }

  /** @param {Act} act what was done with what is being asked */
  go(act) {
    this.acts.push(act);
    this.undone = [];
  }

  /** Back to the one before. @returns {Act | null} what is taken back */
  back() {
    const act = this.acts.pop() ?? null;
    if (act) this.undone.push(act);
    return act;
  }

  /** Do again what `back` took back. @returns {Act | null} */
  forward() {
    const act = this.undone.pop() ?? null;
    if (act) this.acts.push(act);
    return act;
  }

  /** Where what is being asked stands in its round; at the end, the round that is over. */
  place() {
    const at = this.acts.length;
    const round = this.rounds.findLastIndex((start) => start < Math.max(1, this.current ? at + 1 : at));
    const start = this.rounds[round] ?? 0;
    const end = this.rounds[round + 1] ?? this.asked.length;
    return { number: at - start + 1, of: end - start };
  }

  /** What was done in the round that is being asked, or is over. */
  tally() {
    const { number } = this.place();
    const acts = this.acts.slice(this.acts.length - number + 1);
    const count = (/** @type {Act} */ act) => acts.filter((one) => one === act).length;
    return { answer: count("answer"), skip: count("skip"), unsure: count("unsure") };
  }

  /** Those that something was done with. @returns {Asked[]} */
  done() {
    return this.asked.slice(0, this.acts.length);
  }

  /** Those that nobody could or wanted to answer. @returns {Asked[]} */
  passed() {
    return this.asked.filter((_, at) => this.acts[at] === "skip" || this.acts[at] === "unsure");
  }
}
