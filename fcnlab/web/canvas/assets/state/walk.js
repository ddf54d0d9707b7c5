// @ts-check
/** @typedef {{row: number, col: number, source: "query" | "random_query"}} Query */
/** @typedef {"answer" | "skip" | "unsure"} Act */

/** The asked pixels of one image, round after round: which one is next, what became of the others. */
export class QueryWalk {
  constructor() {
    /** @type {Query[]} */
    this.pixels = [];
    /** What was done with the first pixels; the next one is being asked. @type {Act[]} */
    this.acts = [];
    /** What was taken back, the last one first. @type {Act[]} */
    this.undone = [];
    /** Where each round begins. @type {number[]} */
    this.rounds = [];
  }

  /** The pixel being asked; null at the end of a round. @returns {Query | null} */
  get current() {
    return this.pixels[this.acts.length] ?? null;
  }

  /** A further round. @param {readonly Query[]} pixels */
  extend(pixels) {
    this.rounds.push(this.pixels.length);
    this.pixels.push(...pixels);
  }

  /** Forget what was not asked yet, to ask otherwise. */
  cut() {
    this.pixels.length = this.acts.length;
    this.undone = [];
    while (this.rounds.length && this.rounds[this.rounds.length - 1] >= this.pixels.length) this.rounds.pop();
  }

  /** @param {Act} act what was done with the pixel being asked */
  go(act) {
    this.acts.push(act);
    this.undone = [];
  }

  /** Back to the pixel before. @returns {Act | null} what is taken back */
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

  /** Where the pixel being asked stands in its round; at the end, the round that is over. */
  place() {
    const at = this.acts.length;
    const round = this.rounds.findLastIndex((start) => start < Math.max(1, this.current ? at + 1 : at));
    const start = this.rounds[round] ?? 0;
    const end = this.rounds[round + 1] ?? this.pixels.length;
    return { number: at - start + 1, of: end - start };
  }

  /** What was done in the round that is being asked, or is over. */
  tally() {
    const { number } = this.place();
    const acts = this.acts.slice(this.acts.length - number + 1);
    const count = (/** @type {Act} */ act) => acts.filter((one) => one === act).length;
    return { answer: count("answer"), skip: count("skip"), unsure: count("unsure") };
  }

  /** Pixels that nobody could or wanted to answer. @returns {Query[]} */
  passed() {
    return this.pixels.filter((_, at) => this.acts[at] === "skip" || this.acts[at] === "unsure");
  }
}
