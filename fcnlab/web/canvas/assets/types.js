// @ts-check
/**
 * The words the modules share. `row`, `col` are pixels of the upright full-size picture; `sx`, `sy` are CSS
 * pixels from the top left corner of the viewport.
 *
 * @typedef {{id: number, name: string, colour: string, n_points: number, is_background: boolean, grade: number | null}} ClassLabel grade: place among the grades, from 0
 * @typedef {"new" | "in_progress" | "done"} ImageState
 * @typedef {{id: number, name: string, width: number, height: number, state: ImageState, is_complete: boolean, keeps_mask: boolean, has_imported: boolean,
 *   position: number, previous_id: number | null, next_id: number | null, tile_px: number, levels: number}} ImageInfo
 * @typedef {[uid: string, row: number, col: number, classId: number]} StoredPoint
 * @typedef {"add" | "remove" | "clear" | "brush" | "accept" | "take" | "undo" | "redo" | "state" | "complete" | "class_add" | "class_edit" | "class_remove" | "background" | "answer" | "tag"} EventKind
 *   answer: to a point of a survey; tag: of an image; each in a log of its own
 * @typedef {{class_id: number | null, top: number, left: number, height: number, width: number, runs: number[]}} Stroke
 * @typedef {{undo: number, redo: number, redo_reopens: boolean}} Reversible events that can be undone and redone while the
 *   image is not done, and whether the one redone first reopens it
 * @typedef {{seq: number, kind: EventKind, image_id: number, payload: Record<string, any>}} LabelEvent
 * @typedef {{number: number, revision: number, project: {id: number, name: string, key: string, look: string, task: "masks" | "counts"},
 *   labeller: string, n_images: number, classes: ClassLabel[], colours: string[], image: ImageInfo | null, points: StoredPoint[], n_strokes: number,
 *   open: {count: number, next_id: number | null}, reversible: Reversible,
 *   acknowledged: {client_id: string, seq: number} | null, refusals: string[], object_mode: boolean,
 *   notice: string | null, constants: Constants}} Scene
 * @typedef {{acknowledged: {client_id: string, seq: number}, refusals: string[], image: number | null, base: number, revision: number | null, scene: Scene | null}} StoredAnswer
 *   to a log that was sent while `image` was shown: where the points sent are all that happened to it since revision
 *   `base`, the revision now; else the scene
 * @typedef {object} Constants what the server says once for both sides
 * @property {number} batch events it takes at a time
 * @property {readonly string[]} undoable kinds of events that undo takes back
 * @property {number} runs of a stroke, at most
 * @property {number} ignore in an overlay: nobody said what this pixel is
 * @property {number} mask_side longer side of a mask at most, in its pixels
 * @property {number} classes of a project, at most
 * @property {number} name_chars of the name of a class, at most
 * @property {number} queries pixels that are suggested at a time
 * @property {number} avoided pixels passed over that are named when others are asked for, at most
 * @property {number} poll_s seconds within which it answers who waits for an overlay
 * @typedef {"mask" | "probability" | "uncertainty" | "grade" | "imported" | "prediction" | "difference"} Mode grade: the
 *   grade to expect; imported: the mask of another tool; prediction: what a done image would keep now; difference: where the mask shown differs from these
 * @typedef {{overlay: number, status: number, phase: "idle" | "encoding" | "fitting" | "error" | "missing",
 *   progress: number, message: string, milliseconds: number | null, spans: Record<string, number>, updated_at: string | null, width: number,
 *   height: number, covers: number, shown_done: boolean, base?: number,
 *   box?: [top: number, left: number, height: number, width: number], counts?: unknown}} Meta
 * @typedef {{top: number, left: number, height: number, width: number}} Box
 * @typedef {{imageId: number, mode: Mode, classId: number, number: number, covers: number, width: number,
 *   height: number, values: Uint8Array, base: number, patch: Box}} Overlay patch: where it differs from overlay `base`
 * @typedef {{row: number, col: number, classId: number, number: number, score: number, isMarked: boolean}} Found an
 *   object that was counted; numbered in reading order from 1
 * @typedef {{scale: number, x: number, y: number}} View
 * @typedef {{width: number, height: number}} Size
 * @typedef {(name: string, value: unknown) => void} SetState
 */
export {};
