// @ts-check
import { announce, clear, perform } from "./tools/actions.js";
import { Asking } from "./tools/asking.js";
import { Brush } from "./tools/brush.js";
import { ClassBar } from "./widgets/classbar.js";
import { Counting } from "./tools/counting.js";
import { h } from "./widgets/dom.js";
import { attach } from "./tools/input.js";
import { layout, render, renderCursor, renderStatus } from "./render.js";
import { Help } from "./widgets/help.js";
import { tabStorage } from "./protocol/identity.js";
import { KeyReader } from "./tools/keys.js";
import { Labelling } from "./state/labelling.js";
import { ImageNavigator } from "./tools/navigator.js";
import { Notes } from "./widgets/hints.js";
import { Pictures } from "./view/pictures.js";
import { nearest } from "./state/points.js";
import { OverlayPoll } from "./protocol/poll.js";
import { Popovers, Toasts } from "./widgets/popover.js";
import { Prompt } from "./widgets/prompt.js";
import { Routes } from "./protocol/routes.js";
import { loadDisplay, PassedOver, ProjectMemory, saveDisplay } from "./state/settings.js";
import { Stage } from "./view/stage.js";
import { StatusBar } from "./widgets/statusbar.js";
import { Strip } from "./widgets/strip.js";
import { Toolbar } from "./widgets/toolbar.js";
import { pixelAt } from "./state/view.js";
import { spansInWords } from "./protocol/spans.js";
import { lastWords } from "./widgets/messages.js";

/** Of an overlay of which nothing was heard yet. @type {import("./types.js").Meta} */
const NOTHING_KNOWN = {
  overlay: 0,
  status: 0,
  phase: "idle",
  progress: 0,
  message: "",
  milliseconds: null,
  spans: {},
  updated_at: null,
  width: 0,
  height: 0,
  covers: 0,
  shown_done: false,
};

/** @typedef {import("./types.js").Scene} Scene */
/** @typedef {import("./types.js").SetState} SetState */

/** The label page: joins the parts and decides what each action does. One per place in the page. */
export class Workspace {
  /**
   * @param {HTMLElement} root
   * @param {Scene} scene
   * @param {import("./protocol/log.js").EventLog} log
   * @param {SetState} setState
   * @param {string} base address of the app
   */
  constructor(root, scene, log, setState, base) {
    this.root = root;
    this.scene = scene;
    this.setState = setState;
    const counts = scene.project.task === "counts";
    this.display = loadDisplay(counts);
    this.memory = new ProjectMemory(scene.project.key);
    this.passedOver = new PassedOver(tabStorage(), scene.project.key);
    this.routes = new Routes(base, scene.project.key, scene.project.look);
    this.life = new AbortController();
    this.reachable = true;
    /** @type {import("./types.js").Meta | null} */
    this.meta = null;
    this.announced = "";
    /** The image whose picture is on its way. @type {number | null} */
    this.loading = null;
    /** Name of a class added here, chosen once the server has numbered it. @type {string | null} */
    this.awaitedClass = null;
    /** Where the mouse is over the picture. @type {{sx: number, sy: number} | null} */
    this.cursor = null;

    this.labelling = new Labelling(log, (value) => this.setState("events", value), () => render(this));
    this.stage = new Stage();
    this.stage.onPainted = (covers) => this.#tellSpans(covers);
    this.stage.onView = () => renderCursor(this);
    this.popovers = new Popovers(root, this.life.signal, {
      subject: () => [this.labelling.image?.id, this.navigator.wanted],
      home: () => this.stage.element,
    });
    this.toasts = new Toasts();
    this.help = new Help(counts);
    this.status = new StatusBar();
    this.notes = new Notes({ onReopen: () => this.reopen(), onHintClose: () => this.closeHint() });
    this.pictures = new Pictures((state) => this.notes.setPicture(state));
    this.strip = new Strip({
      routes: this.routes,
      onGo: (imageId) => this.navigator.go(imageId),
      onStep: (step) => this.navigator.step(step),
      onLeave: () => this.stage.element.focus({ preventScroll: true }),
      onOrder: () => render(this),
      memory: this.memory,
      counts,
    });
    this.navigator = new ImageNavigator((value) => this.setState("goto", value), this.strip);
    this.asking = new Asking(this);
    this.brush = new Brush(this);
    this.counting = new Counting(this, counts);
    this.prompt = new Prompt(this.asking);
    this.keys = new KeyReader((action) => perform(this, action));
    this.poll = this.#makePoll(log.clientId);
    this.classbar = new ClassBar(
      {
        onChoose: (classId) => this.#chosen(classId),
        onAdd: (name, colour) => this.addClass(name, colour),
        onEdit: (classId, name, colour) => this.labelling.record("class_edit", { class_id: classId, name, colour }),
        onBackground: (classId) => this.labelling.record("background", { class_id: classId }),
        onRemove: (classId) => this.labelling.record("class_remove", { class_id: classId }),
        onLeave: () => this.stage.element.focus({ preventScroll: true }),
      },
      this.popovers,
      counts,
    );
    this.toolbar = new Toolbar(
      {
        undo: () => perform(this, { type: "undo" }),
        redo: () => perform(this, { type: "redo" }),
        clear: (anchor) => clear(this, anchor),
        fit: () => this.stage.fit(),
        ask: () => perform(this, { type: "ask" }),
        paint: (tool) => this.brush.toggle(tool),
        help: () => this.help.toggle(),
        previous: () => this.navigator.step(-1),
        next: () => this.navigator.step(1),
        done: () => this.finish(),
        reopen: () => this.reopen(),
        complete: () => this.counting.setComplete(),
        show: (change) => this.show(change),
      },
      this.popovers,
      counts,
    );
    this.stage.dots.before(this.brush.canvas);
    const foot = h("div", { class: "foot" }, this.toasts.element, this.prompt.element, this.counting.review.bar.element);
    const center = h("div", { class: "center" }, this.stage.element, ...this.notes.elements, this.brush.bar.element, foot);
    const { toolbar, classbar, strip, status, help } = this;
    const side = h("div", { class: "side" }, classbar.element, this.notes.hint);
    const grid = [toolbar.element, side, center, strip.element, status.element];
    root.replaceChildren(h("div", { class: counts ? "grid counts" : "grid" }, ...grid), help.dialog);
    attach(this, this.life.signal);
    this.show({});
  }

  /** News from the server. @param {Scene} scene @param {SetState} setState */
  update(scene, setState) {
    this.setState = setState;
    this.scene = scene;
    this.routes.look = scene.project.look;
    if (this.labelling.receive(scene) > 0) this.strip.refresh();
    this.navigator.arrived(scene.image);
    announce(this);
    this.stage.setClasses(scene.classes);
    if (!scene.image) this.#showNothing();
    else if (scene.image.id === this.labelling.image?.id) this.#stopLoading();
    else this.#load(scene.image);
    const added = scene.classes.find((label) => label.name === this.awaitedClass);
    if (added) {
      this.awaitedClass = null;
      this.choose(added.id);
    }
    layout(this);
    render(this);
  }

  /** Let go of everything outside the workspace. */
  stop() {
    this.life.abort();
    const { asking, brush, counting, labelling, poll, keys, stage, strip, status, navigator, toasts, pictures } = this;
    for (const part of [asking, brush, counting, labelling, poll, keys, stage, strip, status, navigator, toasts, pictures]) part.stop();
  }

  /** The class the next click gives: the one last used, else the first object. */
  currentClass() {
    const { classes } = this.scene;
    const { classId } = this.memory;
    return classes.find((label) => label.id === classId)?.id ?? classes.find((label) => !label.is_background)?.id ?? classes[0]?.id ?? -1;
  }

  /** @param {number} sx @param {number} sy */
  add(sx, sy) {
    const { labelling, stage } = this;
    const pixel = labelling.image && pixelAt(stage.view, labelling.image, sx, sy);
    const classId = this.currentClass();
    if (this.asking.isOn || !pixel || classId < 0 || !this.notes.veil.hidden || labelling.now().state === "done") return;
    if (this.counting.isMarked(pixel, classId)) return;
    labelling.record("add", { ...pixel, class_id: classId });
  }

  /** @param {number} sx @param {number} sy */
  remove(sx, sy) {
    const { points, state } = this.labelling.now();
    const point = nearest(points, this.stage.view, sx, sy);
    if (point && state !== "done" && !this.asking.isOn && !this.brush.isOn) this.labelling.record("remove", { uid: point[0] });
  }

  /** Done, and on to the next. */
  finish() {
    const { image } = this.labelling;
    if (!image) return;
    if (this.loading !== null || (this.navigator.wanted ?? image.id) !== image.id) {
      this.toasts.show("The image you asked for is on its way: Enter is for the one you see.");
      return;
    }
    const { state, isComplete } = this.labelling.now();
    if (this.counting.isOn ? isComplete : state === "done") {
      const { next_id: nextId } = this.scene.open;
      if (this.navigator.step(1)) return;
      if (nextId === null) this.sayLast();
      else this.navigator.go(nextId);
    } else if (this.counting.isOn) this.counting.setComplete(true, () => this.#onward());
    else {
      this.labelling.record("state", { state: "done" });
      this.#onward();
    }
  }

  /** The image is done: on to the next, or say what is left. */
  #onward() {
    if (this.scene.open.count === 0 || !this.navigator.step(1)) this.sayLast();
  }

  /** Say what is left to do where no image follows, and lead there. */
  sayLast() {
    const { navigator, scene, toasts } = this;
    if (!scene.image) return;
    const { count, next_id: nextId } = scene.open;
    const { state, isComplete } = this.labelling.now();
    const isOpen = this.counting.isOn ? !isComplete : state !== "done";
    const words = lastWords({ isOpen, nOpen: count, nImages: scene.n_images });
    if (nextId !== null) {
      const go = () => navigator.go(nextId);
      toasts.show(words, "good", [h("button", { type: "button", class: "button text", click: go }, "Go to the next open image")]);
    } else {
      const pages = isOpen ? [] : this.counting.isOn ? ["Count", "Train"] : ["Export", "Train"];
      toasts.show(words, "good", pages.map((page) => h("a", { class: "button text", href: this.routes.page(page, scene), target: "_self" }, page)));
    }
  }

  reopen() {
    this.labelling.record("state", { state: "in_progress" });
  }

  /** @param {number} classId */
  choose(classId) {
    const current = this.currentClass();
    if (classId !== current) this.memory.otherId = current;
    this.memory.classId = classId;
    this.memory.save();
    render(this);
  }

  /** A class in the class bar was clicked: an answer while something is asked, else the class of the next clicks. @param {number} classId */
  #chosen(classId) {
    const { review } = this.counting;
    if (this.asking.isOn) this.asking.answer(classId);
    else if (review.isOn && review.current) review.answer(classId);
    else this.choose(classId);
  }

  /** Back to the class used before this one; at first, the other one of the first two. */
  swap() {
    const { classes } = this.scene;
    const current = this.currentClass();
    const other = classes.find((label) => label.id === this.memory.otherId && label.id !== current);
    const next = other ?? classes.slice(0, 2).find((label) => label.id !== current);
    if (next) this.choose(next.id);
  }

  /** @param {string} name @param {string} colour */
  addClass(name, colour) {
    this.awaitedClass = name;
    this.labelling.record("class_add", { name, colour });
  }

  /** Change how the picture is shown. @param {Partial<import("./state/settings.js").Display>} change */
  show(change) {
    const before = this.display;
    this.display = { ...before, ...change };
    saveDisplay(this.display, this.counting.isOn);
    if (this.display.mode !== before.mode) this.stage.dropOverlay();
    this.stage.setDisplay(this.shownDisplay());
    this.toolbar.setDisplay(this.shownDisplay());
    render(this);
  }

  /** How the picture is shown now: while a pixel is asked about, the mask is out of sight. */
  shownDisplay() {
    return this.asking.hidesMask ? { ...this.display, overlay: false } : this.display;
  }

  closeHint() {
    this.memory.hintClosed = true;
    this.memory.save();
    render(this);
  }

  /** Say what the last click took, once its mask is on the screen. @param {number} covers */
  #tellSpans(covers) {
    const { spans } = this.labelling;
    const server = this.meta?.spans ?? {};
    spans.reached("painted", covers);
    if (!spans.isPainted) return;
    this.status.setSpans(spansInWords(server, spans.steps));
    this.stage.element.dataset.spans = JSON.stringify({ ...server, ...spans.steps });
  }

  /** @param {string} clientId */
  #makePoll(clientId) {
    return new OverlayPoll({
      address: (wish, after, status) => this.routes.overlay({ ...wish, after, status, clientId }),
      onMeta: (meta) => {
        const isFirst = this.meta === null;
        this.meta = meta;
        this.counting.receive(meta);
        if (isFirst || !this.notes.hint.hidden) render(this);
        else renderStatus(this);
      },
      onOverlay: (overlay) => {
        this.labelling.spans.reached("received", overlay.covers);
        this.brush.receive(overlay);
        renderCursor(this);
      },
      onReach: (reachable) => {
        if (reachable === this.reachable) return;
        this.reachable = reachable;
        if (reachable) this.labelling.sender.poke();
        renderStatus(this);
      },
      onTrouble: (message) => {
        this.meta = { ...(this.meta ?? NOTHING_KNOWN), phase: "error", message };
        renderStatus(this);
      },
      onGone: (message) => this.toasts.show(message || "This image is gone from the project.", "bad"),
    });
  }

  /** @param {import("./types.js").ImageInfo} image */
  #load(image) {
    if (image.id === this.loading) return;
    this.loading = image.id;
    this.pictures.load(this.routes.image(image.id), (picture) => {
      this.loading = null;
      this.meta = null;
      this.labelling.show();
      this.stage.show(image, picture, (tile) => this.routes.tile(image.id, tile));
      this.counting.forget();
      const { next_id: nextId } = this.strip.placed(image);
      this.pictures.prefetch(nextId === null ? null : this.routes.image(nextId));
      if (this.asking.isOn) this.asking.arrived();
      render(this);
    });
  }

  #stopLoading() {
    if (this.loading === null) return;
    this.loading = null;
    this.pictures.stop();
    this.notes.setPicture("shown");
  }

  #showNothing() {
    this.#stopLoading();
    this.labelling.show();
    this.stage.blank();
  }
}
