// @ts-check
import { load, save } from "../state/settings.js";
import { belongsTo } from "../tools/keys.js";
import { say } from "../widgets/dom.js";
import { counted, DOUBT_MS, saving } from "../widgets/messages.js";
import { Album } from "./album.js";
import { actionOf } from "./keys.js";
import { drawFrame, drawMark, drawPart, sourcesOf, viewAround, viewOfAll, ZOOMS } from "./loupe.js";
import { Sheet } from "./sheet.js";

/** @typedef {import("./answering.js").Answering} Answering */
/** @typedef {import("./answering.js").AskedPoint} AskedPoint */

const ZOOM_KEY = "fcnlab.survey.zoom";
/** What is fetched ahead, at most: points that follow, their images, and addresses, tiles included. */
const AHEAD = 60;
const IMAGES_AHEAD = 3;
const ADDRESSES_AHEAD = 24;
const TICK_MS = 1000;

/** Asks about one point after the other: the image around it, the classes with their keys, and how far one is. */
export class Questioner {
  /**
   * @param {HTMLElement} root
   * @param {Answering} answering
   * @param {import("../protocol/routes.js").Routes} routes
   * @param {() => void} onLeave to the report
   */
  constructor(root, answering, routes, onLeave) {
    this.root = root;
    this.answering = answering;
    this.routes = routes;
    this.onLeave = onLeave;
    this.life = new AbortController();
    this.album = new Album(() => this.draw());
    const saved = Number(load(ZOOM_KEY));
    this.zoom = Number.isInteger(saved) ? Math.min(ZOOMS.last, Math.max(ZOOMS.first, saved)) : 0;
    /** Whether the point that is asked can be seen: nobody answers about what is not there. */
    this.isSeen = false;
    this.isLeaving = false;
    this.sheet = new Sheet(root, {
      onAnswer: (value) => this.#answer(value),
      onBack: () => answering.back(),
      onLook: (step) => answering.look(step),
      onZoom: (step) => this.#zoom(step),
      onLeave: () => this.#leave(),
    });
    this.ticking = setInterval(() => this.#saving(), TICK_MS);
    this.#listen();
    answering.onChange = () => this.update();
    this.update();
  }

  /** News of answering: another point, another state of saving. */
  update() {
    const { answering, sheet } = this;
    const { asked, points, survey } = answering;
    const n = answering.nAnswered;
    say(sheet.name, survey.survey_name);
    sheet.setProgress(n, points.length);
    say(sheet.place, asked ? `${answering.at + 1} of ${points.length}` : `${n} of ${points.length}`);
    say(sheet.image, asked ? asked.image.name : "");
    sheet.setClasses(survey);
    sheet.setAnswer(asked ? answering.answerTo(asked) : null);
    sheet.main.hidden = asked === null;
    sheet.over.hidden = asked !== null;
    if (!asked) say(sheet.overWords, points.length ? `All ${counted(points.length, "point")} of this survey are answered.` : "This survey asks about no point any more.");
    sheet.back.disabled = !answering.canGoBack;
    sheet.earlier.disabled = answering.at <= 0;
    sheet.setProblem(answering.problem);
    this.#saving();
    this.draw();
    if (this.isLeaving && !answering.log.pending.length) this.#leaveNow();
  }

  /** The image around the point, as far as it is here; and those that follow are fetched. */
  draw() {
    const { album, sheet } = this;
    const { detail, overview } = sheet;
    const point = this.answering.asked;
    if (!point || !detail.isConnected) return;
    const size = sizeOf(detail);
    const view = viewAround(point, size, this.zoom);
    const sources = this.#sourcesOf(point);
    const pictureOf = (/** @type {string} */ url) => album.get(url);
    this.isSeen = drawPart(detail, point.image, view, size, sources, pictureOf);
    if (this.isSeen) drawMark(detail, point, view);
    const room = sizeOf(overview);
    const all = viewOfAll(point.image, room);
    if (room.width && drawPart(overview, point.image, all, room, { ...sources, tiles: [] }, pictureOf)) drawFrame(overview, all, view, size);
    this.#fetchAhead();
    Object.assign(detail.dataset, { point: String(point.id), seen: this.isSeen ? "1" : "0" });
    detail.setAttribute("aria-label", `${point.image.name} around row ${point.row}, column ${point.col}; the point is in the middle`);
    overview.setAttribute("aria-label", `All of ${point.image.name}, with a frame around the detail`);
    const hasFailed = addressesOf(sources).some((url) => album.failed.has(url));
    sheet.loading.hidden = this.isSeen;
    say(sheet.loading, hasFailed ? "This image cannot be loaded. Trying again…" : "Loading the image…");
  }

  /** @param {AskedPoint} point */
  #sourcesOf(point) {
    const size = sizeOf(this.sheet.detail);
    return sourcesOf(point.image, viewAround(point, size, this.zoom), size, window.devicePixelRatio || 1, this.routes);
  }

  #fetchAhead() {
    const images = new Set();
    const addresses = new Set();
    for (const point of this.answering.following(AHEAD)) {
      images.add(point.image.id);
      if (images.size > IMAGES_AHEAD || addresses.size > ADDRESSES_AHEAD) break;
      for (const url of addressesOf(this.#sourcesOf(point))) addresses.add(url);
    }
    for (const url of addresses) this.album.get(url);
  }

  stop() {
    this.life.abort();
    this.album.stop();
    clearInterval(this.ticking);
    this.answering.onChange = () => {};
  }

  #listen() {
    const { signal } = this.life;
    window.addEventListener("keydown", (event) => this.#press(event), { signal });
    window.addEventListener("online", () => this.answering.sender.poke(), { signal });
    document.addEventListener("visibilitychange", () => document.hidden || this.answering.sender.poke(), { signal });
    const observer = new ResizeObserver(() => this.draw());
    for (const canvas of [this.sheet.detail, this.sheet.overview]) observer.observe(canvas);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const target = /** @type {any} */ (event.composedPath()[0]);
    if (event.defaultPrevented || event.repeat || belongsTo(target, event.key)) return;
    if (this.root.getClientRects().length === 0 || document.querySelector('[role="dialog"]')) return;
    const action = actionOf(event);
    if (!action) return;
    event.preventDefault();
    if (action.type === "class") {
      const label = this.answering.survey.classes[action.place];
      if (label) this.#answer(label[0]);
    } else if (action.type === "unknown") this.#answer(this.answering.survey.unknown);
    else if (action.type === "back") this.answering.back();
    else if (action.type === "nearer" || action.type === "further") this.#zoom(action.type === "nearer" ? 1 : -1);
    else this.answering.look(action.type === "next" ? 1 : -1);
  }

  /** @param {number} value */
  #answer(value) {
    if (this.isSeen) this.answering.answer(value);
  }

  /** @param {number} step */
  #zoom(step) {
    this.zoom = Math.min(ZOOMS.last, Math.max(ZOOMS.first, this.zoom + step));
    save(ZOOM_KEY, this.zoom);
    this.draw();
  }

  #saving() {
    const { log, sender } = this.answering;
    const facts = { pending: log.pending.length, silenceMs: sender.silenceMs(), reachable: navigator.onLine !== false, persistent: log.persistent };
    const { text, tone } = saving({ ...facts, what: "answer" });
    say(this.sheet.saved, tone === "good" ? "All saved" : text);
    this.sheet.saved.dataset.tone = tone;
  }

  /** The report has what is saved: a moment is waited for what is not. */
  #leave() {
    const { log, sender } = this.answering;
    if (!log.pending.length || sender.silenceMs() > DOUBT_MS) this.#leaveNow();
    else if (!this.isLeaving) {
      this.isLeaving = true;
      setTimeout(() => this.isLeaving && this.#leaveNow(), DOUBT_MS);
    }
  }

  #leaveNow() {
    this.isLeaving = false;
    if (!this.life.signal.aborted) this.onLeave();
  }
}

/** @param {HTMLElement} element */
function sizeOf(element) {
  return { width: element.clientWidth, height: element.clientHeight };
}

/** @param {import("./loupe.js").Sources} sources */
function addressesOf({ whole, tiles }) {
  return [whole, ...tiles.map(({ url }) => url)];
}
