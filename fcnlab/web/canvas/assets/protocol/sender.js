// @ts-check
/** @typedef {import("./log.js").EventLog} EventLog */
/** @typedef {import("../types.js").StoredAnswer} StoredAnswer */

const FIRST_RESEND_MS = 1000;
const SLOWEST_RESEND_MS = 5000;
const BACKOFF = 1.5;

/**
 * Sends the log until it is empty: at once when it grows, and again some time after a request that had no answer.
 *
 * One request is under way at a time; what happens meanwhile travels with the next, which leaves when that has settled.
 * @template [Answer=StoredAnswer]
 */
export class Sender {
  /**
   * @param {EventLog} log
   * @param {(batch: ReturnType<EventLog["batch"]>) => Promise<Answer | null>} send the answer of the server; null when there is none
   * @param {(answer: Answer) => void} onAnswer takes what is acknowledged out of the log
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
    this.isUnderWay = false;
    /** Whether the scene is wanted, even if there is nothing to store. */
    this.wantsScene = false;
    this.queued = false;
    this.stopped = false;
  }

  /** The log grew. Several events of one task travel together. */
  grew() {
    this.waitingSince ??= this.now();
    if (this.queued || this.isUnderWay) return;
    this.queued = true;
    queueMicrotask(() => {
      this.queued = false;
      this.#transmit();
    });
  }

  /** What is stored was learned from elsewhere as well. @param {number} nGone how many events left the log */
  answered(nGone) {
    if (this.log.pending.length === 0) {
      clearTimeout(this.timer);
      this.timer = undefined;
      this.waitingSince = null;
      this.delayMs = FIRST_RESEND_MS;
      return;
    }
    if (nGone > 0) {
      this.waitingSince = this.now();
      this.delayMs = FIRST_RESEND_MS;
    }
    this.waitingSince ??= this.now();
    if (this.timer === undefined) this.#transmit();
  }

  /** Something changed for the better (back online, tab visible): do not wait for the timer. */
  poke() {
    this.delayMs = FIRST_RESEND_MS;
    if (this.log.pending.length > 0) this.#transmit();
  }

  /** The scene is not known any more: the next request, which leaves at once, brings it. */
  ask() {
    this.wantsScene = true;
    this.#transmit();
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
    if (this.stopped || this.isUnderWay || (this.log.pending.length === 0 && !this.wantsScene)) return;
    clearTimeout(this.timer);
    this.timer = undefined;
    this.isUnderWay = true;
    this.wantsScene = false;
    const batch = this.log.batch();
    const answer = await this.send(batch);
    this.isUnderWay = false;
    if (this.stopped) return; // another page may have the log now
    if (!answer) {
      this.#schedule();
      return;
    }
    try {
      this.onAnswer(answer);
    } catch (fault) {
      console.error(fault);
      this.#schedule(); // what was not taken out of the log is sent again, and changes nothing where it is stored
      return;
    }
    const last = batch.log[batch.log.length - 1]?.seq ?? 0;
    if (this.wantsScene || this.log.pending.some(({ seq }) => seq > last)) this.#transmit();
    else if (this.log.pending.length > 0) this.#schedule();
  }

  #schedule() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.delayMs = Math.min(SLOWEST_RESEND_MS, this.delayMs * BACKOFF);
      this.#transmit();
    }, this.delayMs);
  }
}
