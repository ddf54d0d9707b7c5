// @ts-check
/** @typedef {import("./log.js").EventLog} EventLog */
/** @typedef {import("../types.js").StoredAnswer} StoredAnswer */

const FIRST_RESEND_MS = 1000;
const SLOWEST_RESEND_MS = 5000;
const BACKOFF = 1.5;

/**
 * Sends the log until it is empty: at once when it grows, again on a timer while an answer is missing.
 *
 * One request is under way at a time; what happens meanwhile travels with the next, which leaves when the answer is
 * here, or when it does not come.
 */
export class Sender {
  /**
   * @param {EventLog} log
   * @param {(batch: ReturnType<EventLog["batch"]>) => Promise<StoredAnswer | null>} send the answer of the server; null when there is none
   * @param {(answer: StoredAnswer) => void} onAnswer takes what is acknowledged out of the log
   * @param {() => number} [now]
   */
  constructor(log, send, onAnswer, now = Date.now) {
    this.log = log;
    this.send = send;
    this.onAnswer = onAnswer;
    this.now = now;
    this.delayMs = FIRST_RESEND_MS;
    /** When the oldest unanswered event was first sent. @type {number | null} */
    this.waitingSince = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** The request that is waited for. @type {symbol | null} */
    this.underWay = null;
    this.queued = false;
    this.stopped = false;
  }

  /** The log grew. Several events of one task travel together. */
  grew() {
    this.waitingSince ??= this.now();
    if (this.queued || this.underWay) return;
    this.queued = true;
    queueMicrotask(() => {
      this.queued = false;
      if (!this.underWay) this.#transmit();
    });
  }

  /** What is stored was learned from elsewhere as well. @param {number} nGone how many events left the log */
  answered(nGone) {
    if (this.log.pending.length === 0) {
      clearTimeout(this.timer);
      this.timer = undefined;
      this.waitingSince = null;
      this.delayMs = FIRST_RESEND_MS;
    } else if (nGone > 0) {
      this.waitingSince = this.now();
      this.delayMs = FIRST_RESEND_MS;
      this.#schedule();
    } else if (this.timer === undefined) {
      this.waitingSince ??= this.now();
      this.#transmit();
    }
  }

  /** Something changed for the better (back online, tab visible): do not wait for the timer. */
  poke() {
    this.delayMs = FIRST_RESEND_MS;
    if (this.log.pending.length > 0) this.#transmit();
  }

  /** Milliseconds without an answer. */
  silenceMs() {
    return this.waitingSince === null ? 0 : this.now() - this.waitingSince;
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  async #transmit() {
    if (this.stopped || this.log.pending.length === 0) return;
    const request = Symbol();
    this.underWay = request;
    this.#schedule();
    const batch = this.log.batch();
    const answer = await this.send(batch);
    const isAwaited = this.underWay === request;
    if (isAwaited) this.underWay = null;
    if (!answer) return; // the timer sends it again
    this.onAnswer(answer);
    const last = batch.log[batch.log.length - 1].seq;
    if (isAwaited && this.log.pending.some(({ seq }) => seq > last)) this.#transmit();
  }

  #schedule() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.delayMs = Math.min(SLOWEST_RESEND_MS, this.delayMs * BACKOFF);
      this.#transmit();
    }, this.delayMs);
  }
}
