// @ts-check
/** @typedef {import("./log.js").EventLog} EventLog */

const FIRST_RESEND_MS = 1000;
const SLOWEST_RESEND_MS = 5000;
const BACKOFF = 1.5;

/** Sends the log until it is empty: at once when it grows, again on a timer while an answer is missing. */
export class Sender {
  /**
   * @param {EventLog} log
   * @param {(value: {client_id: string, log: object[], attempt: number}) => void} send
   * @param {() => number} [now]
   */
  constructor(log, send, now = Date.now) {
    this.log = log;
    this.send = send;
    this.now = now;
    this.attempt = now();
    this.delayMs = FIRST_RESEND_MS;
    /** When the oldest unanswered event was first sent. @type {number | null} */
    this.waitingSince = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.queued = false;
    this.stopped = false;
  }

  /** The log grew. Several events of one task travel together. */
  grew() {
    this.waitingSince ??= this.now();
    if (this.queued) return;
    this.queued = true;
    queueMicrotask(() => {
      this.queued = false;
      this.#transmit();
    });
  }

  /** The server answered. @param {number} nGone how many events it stored */
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

  #transmit() {
    if (this.stopped || this.log.pending.length === 0) return;
    // The number makes a repetition a new value: an unchanged one would not reach the server's callback.
    this.attempt += 1;
    this.send({ ...this.log.batch(), attempt: this.attempt });
    this.#schedule();
  }

  #schedule() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.delayMs = Math.min(SLOWEST_RESEND_MS, this.delayMs * BACKOFF);
      this.#transmit();
    }, this.delayMs);
  }
}
