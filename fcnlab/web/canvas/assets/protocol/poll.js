// @ts-check
import { applied } from "./patches.js";

/** @typedef {import("../types.js").Meta} Meta */
/** @typedef {import("../types.js").Mode} Mode */
/** @typedef {import("../types.js").Overlay} Overlay */
/** @typedef {{imageId: number, mode: Mode, classId: number}} Wish */
/**
 * @typedef {{kind: "overlay", meta: Meta, values: Uint8Array | null} | {kind: "gone", message: string}
 *   | {kind: "trouble", message: string} | {kind: "silence"}} Answer
 */

/** A connection that is silent for so long after the server had to answer is dead. */
const GRACE_MS = 15_000;
const FIRST_RETRY_MS = 300;
const SLOWEST_RETRY_MS = 8000;
/** Answers that follow each other faster than this are a fault, and must not keep the server busy. */
const SHORTEST_ROUND_MS = 15;
/** A refusal of the server is one line; more is a page of something in between. */
const MOST_CHARS = 500;

/** What the server says in words; of a fault that it cannot explain, the status. @param {Response} response */
async function said(response) {
  const isExplained = response.headers.get("Content-Type")?.startsWith("text/plain") && response.status !== 500;
  const text = isExplained ? (await response.text()).trim() : "";
  if (text && text.length <= MOST_CHARS) return text;
  return `The server answers with a fault (${response.status}); its log has the details. It is asked again`;
}

/** Follows the overlay of one image: asks, shows, asks for what is newer. */
export class OverlayPoll {
  /**
   * @param {object} parts
   * @param {number} parts.pollS the server answers within so many seconds
   * @param {(wish: Wish, after: number, status: number) => string} parts.address
   * @param {(meta: Meta) => void} parts.onMeta
   * @param {(overlay: Overlay) => void} parts.onOverlay
   * @param {(reachable: boolean) => void} parts.onReach
   * @param {(message: string) => void} parts.onTrouble the server answers that it cannot just now; it is asked again
   * @param {(message: string) => void} parts.onGone the image is gone for good
   * @param {typeof fetch} [parts.fetch]
   * @param {(ms: number) => Promise<void>} [parts.sleep]
   */
  constructor(parts) {
    this.parts = parts;
    this.fetch = parts.fetch ?? ((url, options) => fetch(url, options));
    this.sleep = parts.sleep ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
    /** @type {Wish | null} */
    this.wish = null;
    /** @type {AbortController | null} */
    this.current = null;
  }

  /** Follow another image or another kind of map; the same wish again changes nothing. @param {Wish} wish */
  watch(wish) {
    const same =
      this.wish?.imageId === wish.imageId && this.wish.mode === wish.mode && this.wish.classId === wish.classId;
    if (same && this.current) return;
    this.wish = wish;
    this.resume();
  }

  /** Start over: everything is asked for again. */
  resume() {
    this.pause();
    if (!this.wish) return;
    this.current = new AbortController();
    this.#follow(this.wish, this.current.signal);
  }

  pause() {
    this.current?.abort();
    this.current = null;
  }

  stop() {
    this.pause();
    this.wish = null;
  }

  /** @param {Wish} wish @param {AbortSignal} signal */
  async #follow(wish, signal) {
    /** What the next answer is laid into. @type {{number: number, values: Uint8Array} | null} */
    let held = null;
    let status = 0;
    let retryMs = FIRST_RETRY_MS;
    while (!signal.aborted) {
      const began = performance.now();
      const answer = await this.#ask(this.parts.address(wish, held?.number ?? 0, status), signal);
      if (signal.aborted) return;
      if (answer.kind === "silence") {
        this.#tell(() => this.parts.onReach(false));
        held = null;
        status = 0;
        await this.sleep(retryMs);
        retryMs = Math.min(SLOWEST_RETRY_MS, retryMs * 2);
        continue;
      }
      this.#tell(() => this.parts.onReach(true));
      if (answer.kind === "gone") {
        this.#tell(() => this.parts.onGone(answer.message));
        return;
      }
      if (answer.kind === "trouble") {
        this.#tell(() => this.parts.onTrouble(answer.message));
        status = 0;
        await this.sleep(retryMs);
        retryMs = Math.min(SLOWEST_RETRY_MS, retryMs * 2);
        continue;
      }
      const { meta, values } = answer;
      retryMs = FIRST_RETRY_MS;
      status = meta.status;
      // A server that started anew counts from the beginning.
      if (held && meta.overlay < held.number && !values) held = null;
      if (values) {
        const now = applied(held, meta, values);
        const { overlay: number, covers, width, height } = meta;
        held = now && { number, values: now.values };
        if (now) this.#tell(() => this.parts.onOverlay({ ...wish, number, covers, width, height, ...now }));
      }
      this.#tell(() => this.parts.onMeta(meta));
      const early = SHORTEST_ROUND_MS - (performance.now() - began);
      if (early > 0) await this.sleep(early);
    }
  }

  /** A fault in drawing is no fault of the server: it is reported, and the overlay is followed on. @param {() => void} show */
  #tell(show) {
    try {
      show();
    } catch (fault) {
      console.error(fault);
    }
  }

  /**
   * @param {string} url
   * @param {AbortSignal} signal
   * @returns {Promise<Answer>}
   */
  async #ask(url, signal) {
    const deadline = new AbortController();
    const give = () => deadline.abort();
    const timer = setTimeout(give, 1000 * this.parts.pollS + GRACE_MS);
    signal.addEventListener("abort", give);
    try {
      const response = await this.fetch(url, { signal: deadline.signal, cache: "no-store" });
      if (response.status === 410) return { kind: "gone", message: await said(response) };
      if (response.status !== 200 && response.status !== 204) return { kind: "trouble", message: await said(response) };
      const meta = /** @type {Meta} */ (JSON.parse(response.headers.get("X-Fcnlab-Meta") ?? ""));
      const values = response.status === 200 ? new Uint8Array(await response.arrayBuffer()) : null;
      return { kind: "overlay", meta, values };
    } catch {
      return { kind: "silence" };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", give);
    }
  }
}
