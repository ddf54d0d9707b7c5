// @ts-check
/** @typedef {import("../types.js").StoredAnswer} StoredAnswer */

/** A server that says nothing for so long is not waited for; the log is sent again. */
const PATIENCE_MS = 10_000;
/** More is waited for what is long: so many characters a millisecond pass a slow connection. */
const SLOWEST_CHARS_PER_MS = 10;
/** Browsers carry no more than this on behalf of a tab that is closed. */
const KEPT_ALIVE_CHARS = 60_000;
/** A refusal of the server is one line; more is a page of something in between. */
const MOST_CHARS = 500;

/**
 * Carries the event log of a tab to the server.
 * @template [Answer=StoredAnswer]
 */
export class Delivery {
  /**
   * @param {object} parts
   * @param {() => string} parts.address
   * @param {() => {labeller: string, image: {id: number, revision: number} | null}} parts.sender who labels, and the image shown as far as it is known
   * @param {(message: string) => void} parts.onRefused the server takes nothing of it, and says why
   * @param {() => void} parts.onGone the project is gone for good: nothing of it will ever be stored
   * @param {typeof fetch} [parts.fetch]
   */
  constructor(parts) {
    this.parts = parts;
    /** What was refused last: the log is sent again and again, and that is said once. */
    this.refused = "";
    this.fetch = parts.fetch ?? ((url, options) => fetch(url, options));
  }

  /** @param {object} batch @returns {Promise<Answer | null>} null: nobody answered, or nothing was stored */
  async send(batch) {
    const deadline = new AbortController();
    const body = JSON.stringify({ ...batch, ...this.parts.sender() });
    const timer = setTimeout(() => deadline.abort(), PATIENCE_MS + body.length / SLOWEST_CHARS_PER_MS);
    try {
      const headers = { "Content-Type": "application/json" };
      const keepalive = body.length < KEPT_ALIVE_CHARS;
      const response = await this.fetch(this.parts.address(), { method: "POST", headers, body, keepalive, signal: deadline.signal });
      if (response.ok) {
        this.refused = "";
        return await response.json();
      }
      await this.#tell(response);
      if (response.status === 410) this.parts.onGone();
    } catch {
      // no connection, or no answer: the log is sent again
    } finally {
      clearTimeout(timer);
    }
    return null;
  }

  /** Say why nothing is stored, where that is more than a passing fault. @param {Response} response */
  async #tell(response) {
    if (response.status >= 500 && response.status !== 503) return;
    const text = response.headers.get("Content-Type")?.startsWith("text/plain") ? (await response.text()).trim() : "";
    if (!text || text.length > MOST_CHARS || text === this.refused) return;
    this.refused = text;
    this.parts.onRefused(text);
  }
}
