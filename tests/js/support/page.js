// @ts-nocheck
/** A page without a browser: scenes as a server sends them, and tools with everything round them recorded. */
import { after } from "node:test";

import { EventLog } from "../../../fcnlab/web/canvas/assets/protocol/log.js";
import { Labelling } from "../../../fcnlab/web/canvas/assets/state/labelling.js";
import { stateAtFirst } from "../../../fcnlab/web/canvas/assets/state/page.js";
import { Store } from "../../../fcnlab/web/canvas/assets/state/store.js";
import { Toolbox } from "../../../fcnlab/web/canvas/assets/tools/toolbox.js";
import { CONSTANTS } from "./constants.js";

/** Of the pages of a test file: they would send again and again. */
const opened = [];
after(() => opened.forEach((labelling) => labelling.stop()));

export const CLASSES = [
  { id: 0, name: "soil", colour: "#000000", n_points: 0, is_background: true },
  { id: 1, name: "root", colour: "#ff0000", n_points: 0, is_background: false },
  { id: 2, name: "stone", colour: "#00ff00", n_points: 0, is_background: false },
];

/** An image that is not square. */
export const imageOf = (id, rest = {}) => ({
  id, name: `image ${id}`, width: 300, height: 200, state: "in_progress", is_complete: false, keeps_mask: false, has_imported: false,
  position: id - 1, previous_id: id > 1 ? id - 1 : null, next_id: id + 1, tile_px: 512, levels: 0, ...rest,
});

export const sceneOf = (rest = {}) => ({
  number: 1, revision: 1, project: { id: 1, name: "Roots", key: "key", look: "", task: "masks" }, labeller: "Ada", n_images: 3, classes: CLASSES,
  colours: ["#112233"], image: imageOf(1), points: [], n_strokes: 0, open: { count: 2, next_id: 2 },
  reversible: { undo: 0, redo: 0, redo_reopens: false }, acknowledged: null, refusals: [], object_mode: false, notice: null,
  constants: CONSTANTS, ...rest,
});

export const COUNTING_PROJECT = { id: 1, name: "Roots", key: "key", look: "", task: "counts" };

export const metaOf = (rest = {}) => ({
  overlay: 1, status: 1, phase: "idle", progress: 0, message: "", milliseconds: 9, spans: {}, updated_at: null, width: 300, height: 200,
  covers: 0, shown_done: false, ...rest,
});

/** State and parts that a tool works with, on an image that is shown; what the tool does with them is in `done`. */
export function pageOf(scene = sceneOf(), state = {}) {
  const done = { sent: [], toasts: [], questions: [], went: [], stage: [], closed: 0 };
  const log = new EventLog(null, "log", () => "client-of-test", CONSTANTS.batch);
  const labelling = new Labelling(log, {
    send: async (value) => void done.sent.push(value),
    onAnswer: () => {},
    onChange: () => store.set({ labelled: labelling.now() }),
    undoable: CONSTANTS.undoable,
  });
  opened.push(labelling);
  labelling.receive(scene);
  labelling.show();
  const store = new Store({ ...stateAtFirst(scene, labelling.now(), { scale: 1, x: 0, y: 0 }), ...state });
  const act = (name) => (...values) => void done.stage.push([name, ...values]);
  const stage = { isFitted: true, fit: act("fit"), approach: act("approach"), setRing: act("setRing") };
  const popovers = {
    open: null,
    close: () => (done.closed += 1) < 0,
    ask: (_anchor, question, answers) => void done.questions.push({ question, answers }),
  };
  const toasts = { show: (text) => void done.toasts.push(text) };
  const navigator = { wanted: null, go: (id) => void done.went.push(id), step: (step) => done.went.push(step) > 0 };
  const parts = { store, labelling, stage, popovers, toasts, navigator, toolbox: new Toolbox(store) };
  return { ...parts, done, events: () => log.pending.map(({ kind, payload }) => ({ kind, ...payload })), stop: () => labelling.stop() };
}

export const at = (sx, sy) => ({ sx, sy });
