// @ts-check
import { Album } from "../answering/album.js";
import { drawPart, sourcesOf, viewOfAll } from "../answering/loupe.js";
import { belongsTo } from "../tools/keys.js";
import { say } from "../widgets/dom.js";
import { saving } from "../widgets/messages.js";
import { KeyReader } from "./keys.js";
import { NewsFollower } from "./news.js";
import { Sheet } from "./sheet.js";

/** @typedef {import("./tagging.js").Tagging} Tagging */
/** @typedef {import("./tagging.js").TaggedImage} TaggedImage */

const TICK_MS = 1000;

/** Shows one image after the other with what is said of its classes, and takes answers. */
export class Tagger {
  /**
   * @param {HTMLElement} root
   * @param {Tagging} tagging
   * @param {import("../protocol/routes.js").Routes} routes
   * @param {(imageId: number) => void} onShown another image is shown
   */
  constructor(root, tagging, routes, onShown) {
    this.root = root;
    this.tagging = tagging;
    this.routes = routes;
    this.onShown = onShown;
    this.life = new AbortController();
    this.album = new Album(() => this.draw());
    this.keys = new KeyReader((action) => this.#act(action));
    /** Whether the image can be seen: nobody answers about what is not there. */
    this.isSeen = false;
    /** The images of which news was asked last. */
    this.asked = "";
    this.sheet = new Sheet(root, {
      onSet: (classId, answer) => {
        this.keys.finish();
        if (this.isSeen) tagging.set(classId, answer);
      },
      onAccept: () => this.#act({ type: "accept" }),
      onDoubtful: () => this.#act({ type: "doubtful" }),
      onGo: (step) => this.#act({ type: step === 1 ? "next" : "previous" }),
      onUndo: () => this.#act({ type: "undo" }),
      onRedo: () => this.#act({ type: "redo" }),
    });
    this.follower = new NewsFollower({
      address: () => routes.tagNews({ ids: tagging.wanted, besides: tagging.passed }),
      heard: () => tagging.heard,
      onNews: (news, heard) => tagging.take(news, heard),
      onGone: (words) => tagging.refuse(words),
    });
    this.ticking = setInterval(() => this.#saving(), TICK_MS);
    this.#listen();
    tagging.onChange = () => this.update();
    tagging.onStored = () => this.follower.ask();
    this.update();
  }

  /** The page was drawn anew: a number being typed is of the image and the classes before. @param {import("./tagging.js").Given} given */
  refresh(given) {
    const { tagging } = this;
    const isOther = tagging.shownBy(given) !== tagging.shown || JSON.stringify(given.classes) !== JSON.stringify(tagging.given.classes);
    if (isOther) this.keys.finish();
    tagging.refresh(given);
  }

  /** Something was answered, stored or told, or another image is shown. */
  update() {
    const { sheet, tagging } = this;
    const { given, image, news, shown } = tagging;
    sheet.setClasses(given.classes);
    for (const [id] of given.classes) sheet.setTag(id, tagging.tagOf(shown ?? -1, id));
    sheet.setSuggested(tagging.suggested.length);
    if (news) sheet.setProgress(news.known, news.total);
    say(sheet.place, shown === null ? "" : `Image ${given.images.indexOf(shown) + 1} of ${given.images.length}`);
    say(sheet.looking, news && news.looked < news.total ? news.message || `Looking at images: ${news.looked} of ${news.total}` : "");
    say(sheet.image, image?.name ?? "");
    const isEmpty = news !== null && news.looked === news.total && !news.behind && news.images.every(({ tags }) => tags.every(([, , , , p]) => p === null));
    sheet.setHint(isEmpty ? "A class is suggested as soon as one image is known with it and one without." : "");
    sheet.previous.disabled = tagging.at(-1) === null;
    sheet.next.disabled = tagging.at(1) === null;
    sheet.undo.disabled = tagging.done.length === 0;
    sheet.redo.disabled = tagging.undone.length === 0;
    sheet.doubtful.disabled = tagging.following(1).length === 0;
    sheet.setProblem(tagging.problem || tagging.refusal);
    if (shown !== null) this.onShown(shown);
    this.#saving();
    const wanted = tagging.wanted.join();
    if (wanted !== this.asked) {
      this.asked = wanted;
      this.follower.ask();
    }
    this.draw();
  }

  /** The image as far as it is here; and those that follow are fetched. */
  draw() {
    const { album, sheet } = this;
    const { picture, loading } = sheet;
    const { image, told, wanted } = this.tagging;
    if (!picture.isConnected) return;
    const size = { width: picture.clientWidth, height: picture.clientHeight };
    this.isSeen = false;
    let hasFailed = false;
    if (image) {
      const sources = this.#sourcesOf(image, size);
      this.isSeen = drawPart(picture, image, viewOfAll(image, size), size, sources, (url) => album.get(url));
      hasFailed = addressesOf(sources).some((url) => album.failed.has(url));
      picture.setAttribute("aria-label", image.name);
    }
    for (const id of wanted) {
      const other = told.get(id);
      if (other) for (const url of addressesOf(this.#sourcesOf(other, size))) album.get(url);
    }
    Object.assign(picture.dataset, { image: String(image?.id ?? ""), seen: this.isSeen ? "1" : "0" });
    loading.hidden = this.isSeen;
    say(loading, hasFailed ? "This image cannot be loaded. Trying again…" : "Loading the image…");
  }

  stop() {
    const { tagging } = this;
    this.life.abort();
    this.keys.stop();
    this.follower.stop();
    this.album.stop();
    clearInterval(this.ticking);
    tagging.onChange = () => {};
    tagging.onStored = () => {};
  }

  /** @param {TaggedImage} image @param {import("../types.js").Size} size */
  #sourcesOf(image, size) {
    return sourcesOf(image, viewOfAll(image, size), size, window.devicePixelRatio || 1, this.routes);
  }

  #listen() {
    const { signal } = this.life;
    const awake = () => {
      this.tagging.sender.poke();
      this.follower.ask();
    };
    window.addEventListener("keydown", (event) => this.#press(event), { signal });
    window.addEventListener("online", awake, { signal });
    document.addEventListener("visibilitychange", () => document.hidden || awake(), { signal });
    const observer = new ResizeObserver(() => this.draw());
    observer.observe(this.sheet.picture);
    signal.addEventListener("abort", () => observer.disconnect());
  }

  /** @param {KeyboardEvent} event */
  #press(event) {
    const target = /** @type {any} */ (event.composedPath()[0]);
    if (event.defaultPrevented || event.repeat || belongsTo(target, event.key)) return;
    if (this.root.getClientRects().length === 0 || document.querySelector('[role="dialog"]')) return;
    if (!this.keys.read(event)) return;
    event.preventDefault();
    this.tagging.isFree = false; // a number may be typed of the image shown
  }

  /** @param {import("./keys.js").Action} action */
  #act(action) {
    const { tagging } = this;
    this.keys.finish();
    if (action.type === "cycle" || action.type === "no") {
      const label = tagging.given.classes[action.place];
      if (!label || !this.isSeen) return;
      if (action.type === "cycle") tagging.cycle(label[0]);
      else tagging.set(label[0], "no");
    } else if (action.type === "accept") {
      if (this.isSeen) tagging.accept();
    } else if (action.type === "doubtful") tagging.goDoubtful();
    else if (action.type === "undo") tagging.undo();
    else if (action.type === "redo") tagging.redo();
    else tagging.go(action.type === "next" ? 1 : -1);
  }

  #saving() {
    const { log, sender } = this.tagging;
    const facts = { pending: log.pending.length, silenceMs: sender.silenceMs(), reachable: navigator.onLine !== false, persistent: log.persistent };
    const { text, tone } = saving({ ...facts, what: "answer" });
    say(this.sheet.saved, tone === "good" ? "All saved" : text);
    this.sheet.saved.dataset.tone = tone;
  }
}

/** @param {import("../answering/loupe.js").Sources} sources */
function addressesOf({ whole, tiles }) {
  return [whole, ...tiles.map(({ url }) => url)];
}
