// @ts-check
import { Sender } from "../protocol/sender.js";

/** @typedef {import("../protocol/log.js").EventLog} EventLog */
/** @typedef {{acknowledged: {client_id: string, seq: number}, refused: {point: number, reason: string, again: boolean}[]}} Stored */
/** @typedef {{id: number, name: string, width: number, height: number, levels: number, tile_px: number}} AskedImage */
/** @typedef {{id: number, image: AskedImage, row: number, col: number}} AskedPoint */
/**
 * What the page is given of a survey; see AnsweringData in answering.py.
 * @typedef {object} Survey
 * @property {string} key
 * @property {string} look
 * @property {number} survey_id
 * @property {string} survey_name
 * @property {string} labeller
 * @property {[id: number, name: string, colour: string][]} classes
 * @property {[id: number, name: string, width: number, height: number, levels: number][]} images
 * @property {[id: number, image: number, row: number, col: number, answer: number | null][]} points
 * @property {number} tile_px
 * @property {number} batch
 * @property {number} unknown the answer "don't know"
 */

/**
 * The points of a survey, what was answered to each, and which one is asked. The server hears of every answer, and
 * nothing waits for it.
 */
export class Answering {
  /**
   * @param {Survey} survey
   * @param {EventLog} log answers that are not stored yet
   * @param {(batch: ReturnType<EventLog["batch"]>) => Promise<Stored | null>} send
   */
  constructor(survey, log, send) {
    this.survey = survey;
    /** @type {AskedPoint[]} */
    this.points = [];
    /** What the server told, by point. @type {Map<number, number | null>} */
    this.told = new Map();
    this.log = log;
    this.onChange = () => {};
    /** Why nothing is stored, in words of the server. */
    this.problem = "";
    /** What was answered in this tab, by point; it is newer than what the server tells. @type {Map<number, number | null>} */
    this.given = new Map();
    for (const { payload } of log.pending) this.given.set(payload.point, payload.value);
    /** Points that are not asked about any more. @type {Set<number>} */
    this.gone = new Set();
    /** Places of what was answered in this tab, the last one last. @type {number[]} */
    this.history = [];
    /** @type {Sender<Stored>} */
    this.sender = new Sender(log, send, (stored) => this.#acknowledged(stored));
    this.#take(survey);
    this.at = this.#nextOpen(0);
    if (log.pending.length) this.sender.grew();
  }

  /** News of the server, and back to the first point that is open. @param {Survey} survey */
  refresh(survey) {
    this.#take(survey);
    this.at = this.#nextOpen(0);
    this.onChange();
  }

  /** @param {Survey} survey */
  #take(survey) {
    this.survey = survey;
    const images = survey.images.map(([id, name, width, height, levels]) => ({ id, name, width, height, levels, tile_px: survey.tile_px }));
    this.points = survey.points.map(([id, image, row, col]) => ({ id, image: images[image], row, col }));
    this.told = new Map(survey.points.map(([id, , , , answer]) => [id, answer]));
  }

  /** The point that is asked; null once all are answered. */
  get asked() {
    return this.points[this.at] ?? null;
  }

  get isOver() {
    return this.at >= this.points.length;
  }

  get nAnswered() {
    return this.points.reduce((n, point) => n + Number(this.#isAnswered(point)), 0);
  }

  /** What was answered to a point; null: nothing. @param {AskedPoint} point */
  answerTo(point) {
    const given = this.given.get(point.id);
    return given === undefined ? (this.told.get(point.id) ?? null) : given;
  }

  /** The points after the one asked, in their order. @param {number} count */
  following(count) {
    return this.points.slice(this.at + 1, this.at + 1 + count);
  }

  /** Answer the point that is asked and go on: from an open one to the next open one, from others to the next. @param {number} value */
  answer(value) {
    const { asked, at } = this;
    if (!asked) return;
    const wasAnswered = this.#isAnswered(asked);
    this.#give(asked, value);
    this.history.push(at);
    this.at = wasAnswered && at + 1 < this.points.length ? at + 1 : this.#nextOpen(at + 1);
    this.onChange();
  }

  /** Take an answer back and ask again: that of the point shown, else the last one. */
  back() {
    const place = this.#lastAnswered();
    if (place < 0) return;
    this.at = place;
    this.#give(this.points[place], null);
    this.onChange();
  }

  /** Whether there is an answer to take back. */
  get canGoBack() {
    return this.#lastAnswered() >= 0;
  }

  /** Look at the point before, or the next one. Nobody passes a point without an answer: the hard ones would be left. @param {-1 | 1} step */
  look(step) {
    const { asked, at } = this;
    if (step < 0 && at > 0) this.at = Math.min(at, this.points.length) - 1;
    else if (step > 0 && asked && this.#isAnswered(asked)) this.at = at + 1 < this.points.length ? at + 1 : this.#nextOpen(0);
    else return;
    this.onChange();
  }

  /** @param {string} words */
  refuse(words) {
    this.problem = words;
    this.onChange();
  }

  /** @param {AskedPoint} point @param {number | null} value */
  #give(point, value) {
    this.given.set(point.id, value);
    this.log.append("answer", point.image.id, { point: point.id, value });
    this.sender.grew();
  }

  /** @param {Stored} stored */
  #acknowledged({ acknowledged, refused }) {
    const nGone = this.log.acknowledge(acknowledged);
    this.problem = refused.length ? refused[refused.length - 1].reason : "";
    for (const { point, again } of refused) {
      if (this.log.pending.some(({ payload }) => payload.point === point)) continue; // answered anew meanwhile
      this.given.set(point, null);
      if (!again) this.gone.add(point);
    }
    if (this.isOver) this.at = this.#nextOpen(0);
    this.sender.answered(nGone);
    this.onChange();
  }

  /** @param {AskedPoint} point */
  #isAnswered(point) {
    return this.gone.has(point.id) || this.answerTo(point) !== null;
  }

  /** The first place without an answer, from one on and then from the beginning. @param {number} from */
  #nextOpen(from) {
    const { points } = this;
    for (let step = 0; step < points.length; step += 1) {
      const place = (from + step) % points.length;
      if (!this.#isAnswered(points[place])) return place;
    }
    return points.length;
  }

  #lastAnswered() {
    const { asked, at, history, points } = this;
    if (asked && this.#isAnswered(asked)) return at;
    while (history.length) {
      const place = history[history.length - 1];
      if (points[place] && this.#isAnswered(points[place])) return place;
      history.pop();
    }
    for (let place = Math.min(at, points.length) - 1; place >= 0; place -= 1) if (this.#isAnswered(points[place])) return place;
    return -1;
  }
}
