// @ts-check
import { Delivery } from "./protocol/delivery.js";
import { tabStorage } from "./protocol/identity.js";
import { ImageNavigator } from "./protocol/navigator.js";
import { OverlayPoll } from "./protocol/poll.js";
import { References } from "./protocol/references.js";
import { Routes } from "./protocol/routes.js";
import { spansInWords } from "./protocol/spans.js";
import { layout, render } from "./render.js";
import { Labelling } from "./state/labelling.js";
import { classesOf, isCounting, NOT_COUNTED, remember, setDisplay, stateAtFirst } from "./state/page.js";
import { PassedOver } from "./state/settings.js";
import { Store } from "./state/store.js";
import { chooseClass, clear, perform } from "./tools/actions.js";
import { Brush, resizeBrush } from "./tools/brush.js";
import { Completion } from "./tools/completing.js";
import { CountingTool } from "./tools/counting.js";
import { Crosshair } from "./tools/crosshair.js";
import { Finishing } from "./tools/finishing.js";
import { attach } from "./tools/input.js";
import { KeyReader } from "./tools/keys.js";
import { Navigation } from "./tools/navigation.js";
import { PointTool, Remover } from "./tools/points.js";
import { QueryTool } from "./tools/query.js";
import { ReviewTool } from "./tools/review.js";
import { Toolbox } from "./tools/toolbox.js";
import { Composition } from "./view/composition.js";
import { Pictures } from "./view/pictures.js";
import { Stage } from "./view/stage.js";
import { BrushBar } from "./widgets/brushbar.js";
import { ClassBar } from "./widgets/classbar.js";
import { h } from "./widgets/dom.js";
import { Help } from "./widgets/help.js";
import { Notes } from "./widgets/hints.js";
import { Popovers, Toasts } from "./widgets/popover.js";
import { Prompt } from "./widgets/prompt.js";
import { ReviewBar } from "./widgets/reviewbar.js";
import { Speech } from "./widgets/speech.js";
import { StatusBar } from "./widgets/statusbar.js";
import { Strip } from "./widgets/strip.js";
import { Toolbar } from "./widgets/toolbar.js";

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

/** The address has followed the image so long after its scene. */
const SETTLED_MS = 300;

/** @typedef {import("./types.js").Scene} Scene */
/** @typedef {import("./types.js").SetState} SetState */

/** The label page: makes the parts, gives each what it needs, and takes in what the server sends. One per place in the page. */
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
    this.setState = setState;
    this.life = new AbortController();
    this.announced = "";
    /** Number of the newest scene. */
    this.newest = 0;
    /** Whether Streamlit knows under which client id this tab stores its events, and that id, once it stored one. */
    this.isTold = false;
    this.clientId = "";
    /** Name of a class added here, chosen once the server has numbered it. @type {string | null} */
    this.awaitedClass = null;
    this.routes = new Routes(base, scene.project.key, scene.project.look);
    /** @type {Delivery} */
    const delivery = this.#makeDelivery();
    this.labelling = new Labelling(log, {
      send: (batch) => delivery.send(batch),
      onAnswer: (answer) => this.#stored(answer),
      onChange: () => this.#relabelled(),
      undoable: scene.constants.undoable,
    });
    this.stage = new Stage();
    this.store = new Store(stateAtFirst(scene, this.labelling.now(), this.stage.view));
    this.composition = new Composition(this.stage, scene.constants);
    this.popovers = new Popovers(root, this.life.signal, {
      subject: () => [this.labelling.image?.id, this.navigator.wanted],
      home: () => this.stage,
    });
    this.toasts = new Toasts();
    this.speech = new Speech();
    this.help = new Help(isCounting(this.store.state));
    this.status = new StatusBar({ onLeft: () => this.finishing.goToOpen() });
    this.notes = new Notes({
      onReopen: () => this.finishing.reopen(),
      onHintClose: () => remember(this.store, { hintClosed: true }),
      onTake: (isDone) => this.finishing.take(isDone),
      onKeep: () => this.toolbox.choose("points"),
    });
    this.references = new References({
      address: (imageId, kind) => this.routes.reference(imageId, kind),
      onReference: (reference) => this.store.set({ reference }),
      onTrouble: (message) => this.toasts.show(message, "bad"),
    });
    this.pictures = new Pictures((picture) => this.store.set({ picture }));
    this.strip = makeStrip(this);
    this.navigator = new ImageNavigator((value) => this.setState("goto", value), this.strip);
    this.toolbox = new Toolbox(this.store);
    this.navigation = new Navigation(this.stage);
    const { labelling, navigator, popovers, routes, speech, stage, store, toasts, toolbox } = this;
    const parts = { labelling, navigator, popovers, routes, speech, stage, store, toasts, toolbox };
    this.query = new QueryTool({ ...parts, passedOver: new PassedOver(tabStorage(), scene.project.key) });
    this.counting = isCounting(this.store.state) ? new CountingTool(parts) : null;
    this.review = this.counting && new ReviewTool({ ...parts, counting: this.counting });
    this.completion = this.counting && new Completion({ ...parts, counting: this.counting, anchor: () => this.toolbar.done });
    this.finishing = new Finishing({ ...parts, completion: this.completion });
    this.toolbox.tools = makeTools(this);
    this.crosshair = new Crosshair(parts);
    this.keys = new KeyReader((action) => perform(this, action));
    this.classbar = makeClassBar(this, scene.constants);
    this.brushbar = makeBrushBar(this);
    this.prompt = makePrompt(this, scene.constants.queries);
    this.reviewbar = makeReviewBar(this);
    this.toolbar = makeToolbar(this);
    this.poll = this.#makePoll(log.clientId, scene.constants.poll_s);
    this.stage.tool = () => this.toolbox.current;
    this.stage.onPainted = (covers) => this.#tellSpans(covers);
    this.stage.onView = () => this.store.set({ view: this.stage.view });
    this.#place();
    render(this);
    attach(this, this.life.signal);
  }

  /** Put the parts into the page. */
  #place() {
    const { brushbar, classbar, help, notes, prompt, reviewbar, root, speech, stage, status, strip, toasts, toolbar } = this;
    const foot = h("div", { class: "foot" }, toasts.element, prompt.element, reviewbar.element);
    const center = h("div", { class: "center" }, stage.element, ...notes.elements, brushbar.element, foot);
    const side = h("div", { class: "side" }, classbar.element, notes.hint);
    const grid = [toolbar.element, side, center, strip.element, status.element];
    root.replaceChildren(h("div", { class: this.counting ? "grid counts" : "grid" }, ...grid), help.dialog, speech.element);
  }

  /** News from Streamlit, which says what image is shown. @param {Scene} scene @param {SetState} setState */
  update(scene, setState) {
    this.setState = setState;
    this.#receive(scene);
  }

  /** The server stored what this tab sent. @param {import("./types.js").StoredAnswer} answer */
  #stored(answer) {
    const { labelling, store, strip } = this;
    const { acknowledged, image, refusals, scene } = answer;
    const { scene: shown } = store.state;
    if (scene && (shown.image?.id ?? null) === image) this.#receive({ ...scene, labeller: shown.labeller });
    else if (scene) this.#storedElsewhere(acknowledged);
    else {
      const news = labelling.storedAsShown(answer);
      if (news) store.set({ scene: news, labelled: labelling.now() });
      if (strip.byGain) strip.refresh();
    }
    this.#announce({ notice: null, refusals, acknowledged });
    this.clientId = acknowledged.client_id;
    this.#tellTab();
  }

  /**
   * What was sent is stored, and the answer is about an image left meanwhile; the scene of the one shown may have been
   * read before, and is asked for.
   * @param {Scene["acknowledged"]} acknowledged
   */
  #storedElsewhere(acknowledged) {
    this.labelling.acknowledged(acknowledged);
    this.#relabelled();
    this.labelling.sender.ask();
  }

  /**
   * Tell Streamlit once under which client id this tab has stored something. Not while another image is on its way: the
   * rerun would be asked for at the address of the one before, and lead back to it.
   */
  #tellTab() {
    if (this.isTold || !this.clientId || this.navigator.wanted !== null) return;
    this.isTold = true;
    this.setState("tab", { client_id: this.clientId });
  }

  /**
   * A scene was read later than the one shown where more was done on the image, or as much and its number is higher.
   * Of one that was overtaken counts what the labeller changed on the page.
   * @param {Scene} scene
   */
  #receive(scene) {
    const { labelling, navigator, routes, stage, store, strip } = this;
    const { scene: shown } = store.state;
    const isEarlier = scene.revision < shown.revision || (scene.revision === shown.revision && scene.number < this.newest);
    if (isEarlier && scene.image?.id === shown.image?.id) {
      const { labeller, object_mode, project } = scene;
      store.set({ scene: { ...shown, labeller, object_mode, project } });
      routes.look = project.look;
      this.#announce(scene);
      return;
    }
    this.newest = scene.number;
    routes.look = scene.project.look;
    if (labelling.receive(scene) > 0) strip.refresh();
    navigator.arrived(scene.image);
    setTimeout(() => this.life.signal.aborted || this.#tellTab(), SETTLED_MS);
    store.set({ scene, labelled: labelling.now() });
    this.#announce(scene);
    stage.setClasses(scene.classes);
    if (!scene.image) this.#showNothing();
    else if (scene.image.id === labelling.image?.id) this.#stopLoading();
    else this.#load(scene.image);
    const added = scene.classes.find((label) => label.name === this.awaitedClass);
    if (added) {
      this.awaitedClass = null;
      chooseClass(store, added.id);
    }
    layout(this);
  }

  /** Let go of everything outside the workspace. */
  stop() {
    this.life.abort();
    const { completion, counting, keys, labelling, navigator, pictures, poll, query, references, speech, stage, status, strip, toasts } = this;
    for (const part of [completion, counting, keys, labelling, navigator, pictures, poll, query, references, speech, stage, status, strip, toasts]) part?.stop();
  }

  /** Say what the server wants said, once. @param {Pick<Scene, "notice" | "refusals" | "acknowledged">} news */
  #announce({ notice, refusals, acknowledged }) {
    const news = JSON.stringify([notice, refusals, refusals.length ? acknowledged?.seq : null]);
    if (news === this.announced) return;
    this.announced = news;
    if (notice) this.toasts.show(notice);
    for (const refusal of refusals) this.toasts.show(refusal, "bad");
  }

  #relabelled() {
    this.store.set({ labelled: this.labelling.now() });
  }

  /** Say what the last click took, once its mask is on the screen. @param {number} covers */
  #tellSpans(covers) {
    const { spans } = this.labelling;
    const server = this.store.state.meta?.spans ?? {};
    spans.reached("painted", covers);
    if (!spans.isPainted) return;
    this.status.setSpans(spansInWords(server, spans.steps));
    this.stage.element.dataset.spans = JSON.stringify({ ...server, ...spans.steps });
    this.stage.element.dataset.published = String(spans.since(Date.parse(this.store.state.meta?.updated_at ?? "")));
  }

  /** @returns {Delivery} */
  #makeDelivery() {
    return new Delivery({
      address: () => this.routes.events,
      sender: () => {
        const { scene } = this.store.state, { image } = this.labelling;
        const revision = scene.image?.id === image?.id ? scene.revision : -1;
        return { labeller: scene.labeller, image: scene.image && { id: scene.image.id, revision } };
      },
      onRefused: (message) => this.toasts.show(message, "bad"),
      onGone: () => this.labelling.sender.stop(),
    });
  }

  /** @param {string} clientId @param {number} pollS the server answers within so many seconds */
  #makePoll(clientId, pollS) {
    const { store } = this;
    return new OverlayPoll({
      pollS,
      address: (wish, after, status) => this.routes.overlay({ ...wish, classIds: classesOf(store.state, wish), after, status, clientId }),
      onMeta: (meta) => {
        store.set({ meta });
        this.counting?.receive(meta);
      },
      onOverlay: (received) => {
        this.labelling.spans.reached("received", received.covers);
        store.set({ received });
      },
      onReach: (isReachable) => {
        if (isReachable && !store.state.isReachable) this.labelling.sender.poke();
        store.set({ isReachable });
      },
      onTrouble: (message) => store.set({ meta: { ...(store.state.meta ?? NOTHING_KNOWN), phase: "error", message } }),
      onGone: (message) => this.toasts.show(message || "This image is gone from the project.", "bad"),
    });
  }

  /** @param {import("./types.js").ImageInfo} image */
  #load(image) {
    const { counting, labelling, pictures, routes, speech, stage, store, strip } = this;
    if (image.id === store.state.loading) return;
    store.set({ loading: image.id });
    pictures.load(routes.image(image.id), (picture) => {
      labelling.show();
      stage.show(image, picture, (tile) => routes.tile(image.id, tile));
      counting?.forget();
      const { next_id: nextId, position } = strip.placed(image);
      speech.say(`Image ${image.name}, ${position + 1} of ${store.state.scene.n_images}`);
      pictures.prefetch(nextId === null ? null : routes.image(nextId));
      store.set({ loading: null, meta: null, count: { ...NOT_COUNTED }, labelled: labelling.now() });
    });
  }

  #stopLoading() {
    if (this.store.state.loading === null) return;
    this.pictures.stop();
    this.store.set({ loading: null, picture: "shown" });
  }

  #showNothing() {
    this.#stopLoading();
    this.labelling.show();
    this.stage.blank();
    this.#relabelled();
  }
}

/** @param {Workspace} workspace */
function makeTools({ counting, labelling, popovers, query, review, stage, store, toasts, toolbox }) {
  const parts = { labelling, popovers, store, toasts, toolbox, redraw: () => stage.redraw("strokes") };
  const remover = new Remover(parts);
  if (counting && review) return { points: counting, remover, review };
  return { points: new PointTool(parts), remover, brush: new Brush(parts, false), eraser: new Brush(parts, true), query };
}

/** @param {Workspace} workspace */
function makeStrip(workspace) {
  const { routes, stage, store } = workspace;
  return new Strip({
    routes,
    onGo: (imageId) => workspace.navigator.go(imageId),
    onLeave: () => stage.focus(),
    onOrder: (order) => store.set({ order }),
    onSort: (byGain) => remember(store, { byGain }),
    byGain: store.state.memory.byGain,
    counts: isCounting(store.state),
  });
}

/** @param {Workspace} workspace @param {import("./types.js").Constants} constants */
function makeClassBar(workspace, { classes, name_chars: nameChars }) {
  const { counting, labelling, popovers, query, review, stage, store } = workspace;
  /** An answer while something is asked, else the class of the next clicks. @param {number} classId */
  const onChoose = (classId) => {
    if (store.state.query) query.answer(classId);
    else if (store.state.review?.asked) review?.answer(classId);
    else chooseClass(store, classId);
  };
  const actions = {
    onChoose,
    onAdd: (/** @type {string} */ name, /** @type {string} */ colour) => {
      workspace.awaitedClass = name;
      labelling.record("class_add", { name, colour });
    },
    onEdit: (/** @type {number} */ classId, /** @type {string} */ name, /** @type {string} */ colour) =>
      labelling.record("class_edit", { class_id: classId, name, colour }),
    onBackground: (/** @type {number | null} */ classId) => labelling.record("background", { class_id: classId }),
    onRemove: (/** @type {number} */ classId) => labelling.record("class_remove", { class_id: classId }),
    onLeave: () => stage.focus(),
  };
  return new ClassBar(actions, popovers, { tells: counting !== null, maxClasses: classes, nameChars });
}

/** @param {Workspace} workspace */
function makeBrushBar({ store, toolbox }) {
  return new BrushBar({
    onTake: (tool) => toolbox.choose(tool),
    onResize: (size) => resizeBrush(store, size),
    onLeave: () => toolbox.choose("points"),
  });
}

/** @param {Workspace} workspace @param {number} round so many pixels are asked at a time */
function makePrompt({ query, toolbox }, round) {
  const actions = {
    onAnswer: (/** @type {number} */ classId) => query.answer(classId),
    onPass: (/** @type {"skip" | "unsure"} */ act) => query.pass(act),
    onBack: () => query.back(),
    onMore: () => void query.more(),
    onNext: () => void query.nextImage(),
    onStrategy: (/** @type {import("./tools/query.js").Strategy} */ strategy) => query.setStrategy(strategy),
    onLeave: () => toolbox.choose("points"),
  };
  return new Prompt(actions, round);
}

/** @param {Workspace} workspace */
function makeReviewBar({ finishing, review, toolbox }) {
  return new ReviewBar({
    onAccept: () => review?.accept(),
    onReject: () => review?.reject(),
    onSkip: () => review?.skip(),
    onBack: () => review?.back(),
    onNext: () => finishing.finish(),
    onLeave: () => toolbox.choose("points"),
  });
}

/** @param {Workspace} workspace */
function makeToolbar(workspace) {
  const { counting, finishing, help, navigator, popovers, stage, store, toolbox } = workspace;
  const actions = {
    undo: () => perform(workspace, { type: "undo" }),
    redo: () => perform(workspace, { type: "redo" }),
    clear: (/** @type {Element} */ anchor) => clear(workspace, anchor),
    fit: () => stage.fit(),
    ask: () => perform(workspace, { type: "ask" }),
    take: (/** @type {"remover" | "brush" | "eraser"} */ tool) => toolbox.toggle(tool),
    help: () => help.toggle(),
    previous: () => void navigator.step(-1),
    next: () => void navigator.step(1),
    done: () => finishing.finish(),
    reopen: () => finishing.reopen(),
    complete: () => finishing.complete(),
    show: (/** @type {Partial<import("./state/settings.js").Display>} */ change) => setDisplay(store, change),
  };
  return new Toolbar(actions, popovers, counting !== null);
}
