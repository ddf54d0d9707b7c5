// @ts-check
/**
 * What the page shows now: which page, which image, its points, and how many images are not done.
 * @typedef {{page: "label" | "export", image: number | null, points: number, open: number}} Facts
 * @typedef {{step: number, base: Facts}} Tour which step, counted from 0, and what the page showed when it began
 * @typedef {{text: string, isDone?: (now: Facts, then: Facts) => boolean}} Step stars and backticks in its text are as in Markdown
 * @typedef {{querySelector: (what: string) => any, querySelectorAll: (what: string) => any}} Place
 */

/** Whether somebody took the tour, left it, or wants none. */
const SEEN_KEY = "fcnlab.tour";
/** Where this tab is in it. */
const TOUR_KEY = "fcnlab.tour.step";

/** @type {readonly Step[]} */
export const STEPS = [
  {
    text: "A few clicks made this mask. Choose *nucleus* among the classes and click on a nucleus, or *background* and click beside one.",
    isDone: (now, then) => now.image === then.image && now.points > then.points,
  },
  {
    text: "The colour over the image is the mask: all that is taken for a nucleus. It was learned anew from your click. `v` hides it and shows it again.",
    isDone: (now, then) => now.image !== then.image,
  },
  {
    text: "Open another image: press `n`, or choose it below the image. It has a mask already, for all images learn from the same clicks.",
    isDone: (now, then) => now.image !== then.image,
  },
  {
    text: "Where the mask is wrong, click with the right class. Then press *Done* (`Enter`): the image keeps its mask.",
    isDone: (now, then) => now.open < then.open,
  },
  { text: "The masks leave as files on the *Export* page." },
];

/** What the last step says where it leads. */
const ON_EXPORT = "Choose a format and press *Export*. Then make a project of your own images on the *Projects* page. *Help* has this tour again.";

const LAST = STEPS.length - 1;

/** Takes in what happens on the canvas, which asks Streamlit for nothing. @type {((event: Event) => void) | null} */
let listener = null;

/** The step that begins now. @param {number} step @param {Facts} facts @returns {Tour} */
export function begun(step, facts) {
  return { step: Math.min(LAST, Math.max(0, step)), base: facts };
}

/**
 * Where the tour is after what was done: a step that is done makes way for the next one.
 * @param {Tour} tour @param {Facts} facts @returns {Tour}
 */
export function followed(tour, facts) {
  if (facts.page === "export") return tour;
  const { step, base } = tour;
  if (STEPS[step].isDone?.(facts, base)) {
    // another image opened while the mask was to be looked at: that is the next step, done too
    return step === 1 ? followed({ step: 2, base }, facts) : begun(step + 1, facts);
  }
  const isOther = step === 0 && facts.image !== base.image;
  return isOther || facts.points < base.points || facts.open > base.open ? { step, base: { ...facts, image: step === 0 ? facts.image : base.image } } : tour;
}

/**
 * What is shown: nothing, the offer of a tour, or a step of it.
 * @param {Tour | null} tour @param {boolean} isSeen @param {Facts["page"]} page
 * @returns {{kind: "nothing" | "offer"} | {kind: "step", step: number, text: string, isLast: boolean, leads: boolean, hasBack: boolean}}
 */
export function shownOf(tour, isSeen, page) {
  const isLast = tour?.step === LAST;
  if (page === "export" && !isLast) return { kind: "nothing" };
  if (!tour) return { kind: isSeen ? "nothing" : "offer" };
  const text = page === "export" ? ON_EXPORT : STEPS[tour.step].text;
  return { kind: "step", step: tour.step, text, isLast, leads: isLast && page === "label", hasBack: tour.step > 0 && page === "label" };
}

/**
 * Streamlit calls this whenever what the page shows changes. Where the tour is, the tab remembers; that it was seen, the
 * browser. `run` names a start that somebody asked for: each begins the tour once.
 * @param {{data: {facts: Facts, run: string | null}, parentElement: Place, setTriggerValue: (name: string, value: unknown) => void}} component
 */
export default function draw({ data: { facts: first, run }, parentElement, setTriggerValue }) {
  let facts = first;
  const saved = read(sessionStorage, TOUR_KEY) ?? {};
  let tour = isTour(saved.tour) ? followed(saved.tour, facts) : null;
  if (run && run !== saved.run) tour = begun(0, facts);
  const root = /** @type {HTMLElement} */ (parentElement.querySelector(".fcnlab-tour"));

  const show = () => {
    write(sessionStorage, TOUR_KEY, { run, tour });
    paint(root, shownOf(tour, read(localStorage, SEEN_KEY) === true, facts.page));
  };
  /** @param {number} step */
  const go = (step) => {
    tour = begun(step, facts);
    show();
  };
  const leave = () => {
    write(localStorage, SEEN_KEY, true);
    tour = null;
    show();
  };
  const acts = {
    start: () => go(0),
    back: () => go((tour?.step ?? 1) - 1),
    next: () => (tour?.step === LAST ? leave() : go((tour?.step ?? 0) + 1)),
    export: () => setTriggerValue("wish", "export"),
    leave,
  };
  for (const [name, act] of Object.entries(acts)) {
    const button = /** @type {HTMLButtonElement} */ (root.querySelector(`[data-act=${name}]`));
    button.onclick = act;
    button.onmousedown = (event) => event.preventDefault(); // the keys go on meaning the picture
  }
  if (listener) window.removeEventListener("fcnlab-labelled", listener);
  listener = (event) => {
    if (facts.page !== "label" || !root.isConnected) return;
    facts = { ...facts, .../** @type {CustomEvent<Partial<Facts>>} */ (event).detail };
    if (tour) tour = followed(tour, facts);
    show();
  };
  window.addEventListener("fcnlab-labelled", listener);
  show();
}

/** @param {HTMLElement} root @param {ReturnType<typeof shownOf>} shown */
function paint(root, shown) {
  const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (root.querySelector(name));
  const wasHidden = root.hidden, before = root.offsetHeight;
  root.hidden = shown.kind === "nothing";
  root.dataset.kind = shown.kind;
  const isStep = shown.kind === "step";
  part("[data-act=start]").hidden = isStep;
  part("[data-act=back]").hidden = !isStep || !shown.hasBack;
  part("[data-act=next]").hidden = !isStep;
  part("[data-act=next]").textContent = isStep && shown.isLast ? "Finish" : "Next";
  part("[data-act=export]").hidden = !isStep || !shown.leads;
  part("[data-act=leave]").textContent = isStep ? "Leave" : "No, thanks";
  part("[data-act=leave]").hidden = isStep && shown.isLast;
  part(".count").hidden = !isStep;
  part(".count").textContent = isStep ? `Step ${shown.step + 1} of ${STEPS.length}` : "";
  fill(part(".text"), isStep ? shown.text : "New here? Five steps show how it works.");
  if (root.hidden !== wasHidden || root.offsetHeight !== before) window.dispatchEvent(new Event("resize")); // the canvas fits the rest
}

/** Text with stars and backticks, once it is another. @param {HTMLElement} element @param {string} text */
function fill(element, text) {
  if (element.dataset.text === text) return;
  element.dataset.text = text;
  const parts = text.split(/(\*[^*]+\*|`[^`]+`)/).filter(Boolean);
  element.replaceChildren(
    ...parts.map((part) => {
      if (!/^[*`]/.test(part)) return document.createTextNode(part);
      const inner = document.createElement(part[0] === "*" ? "strong" : "kbd");
      inner.textContent = part.slice(1, -1);
      return inner;
    }),
  );
}

/** @param {any} tour @returns {tour is Tour} */
function isTour(tour) {
  return Number.isInteger(tour?.step) && tour.step >= 0 && tour.step <= LAST && typeof tour.base === "object" && tour.base !== null;
}

/** @param {Storage} storage @param {string} key @returns {any} */
function read(storage, key) {
  try {
    return JSON.parse(storage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

/** @param {Storage} storage @param {string} key @param {unknown} value */
function write(storage, key, value) {
  try {
    storage.setItem(key, JSON.stringify(value));
  } catch {
    // full or forbidden: it lasts as long as the page
  }
}
