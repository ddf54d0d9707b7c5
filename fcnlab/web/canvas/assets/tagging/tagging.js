// @ts-check
import { Sender } from "../protocol/sender.js";

/** @typedef {import("../protocol/log.js").EventLog} EventLog */
/** @typedef {import("../types.js").LabelEvent} LabelEvent */
/** @typedef {"yes" | "no" | null} Answer null: nobody said */
/** @typedef {{acknowledged: {client_id: string, seq: number}, refused: {image: number, class: number, reason: string}[]}} Stored */
/** @typedef {[classId: number, answer: Answer, labelled: Answer, labelledBy: string | null, probability: number | null]} Said */
/** @typedef {{id: number, name: string, width: number, height: number, levels: number, tile_px: number, tags: Said[]}} TaggedImage */
/**
 * What the server tells again and again; see `news_of` in tag_answers.py.
 * @typedef {{order: number[], images: TaggedImage[], known: number, total: number, looked: number, message: string, behind: boolean}} News
 */
/**
 * What the page is given; see TaggingData in tagging.py.
 * @typedef {object} Given
 * @property {string} key
 * @property {string} look
 * @property {string} labeller
 * @property {[id: number, name: string, colour: string][]} classes
 * @property {number[]} images in import order
 * @property {number | null} start the image of the address
 * @property {number} batch
 */
/** @typedef {{image: number, class: number, before: Answer, after: Answer}} Change */
/** @typedef {{answer: Answer, labelled: Answer, labelledBy: string, probability: number | null, isContradicted: boolean}} Tag */

/** From this probability on a class is suggested. */
const LIKELY = 0.5;
/** Images that were passed are not asked about again before so many others. */
export const PASSED_MOST = 200;

/**
 * The tags of a project as this tab knows them: what the server told, and over it what was answered here since. The
 * server hears of every answer, and nothing waits for it.
 */
export class Tagging {
  /**
   * @param {Given} given
   * @param {EventLog} log answers that are not stored yet
   * @param {(batch: ReturnType<EventLog["batch"]>) => Promise<Stored | null>} send
   * @param {number | null} [shown] the image that was shown before a reload
   */
  constructor(given, log, send, shown = null) {
    this.given = given;
    this.log = log;
    this.onChange = () => {};
    /** Something is stored: suggestions will be others. */
    this.onStored = () => {};
    /** Why nothing is stored, in words of the server. */
    this.problem = "";
    /** Which answer gave way to one of somebody else, or could not be stored; until another image is shown. */
    this.refusal = "";
    /** What the server told of images. @type {Map<number, TaggedImage>} */
    this.told = new Map();
    /** What was answered here and the server may not tell yet. @type {Map<string, {answer: Answer, seq: number}>} */
    this.answered = new Map();
    for (const { seq, image_id, payload } of log.pending) this.answered.set(nameOf(image_id, payload.class), { answer: payload.answer, seq });
    /** @type {News | null} */
    this.news = null;
    /** Steps that can be undone, and those undone. @type {Change[][]} */
    this.done = [];
    /** @type {Change[][]} */
    this.undone = [];
    /** Images that were left for the next doubtful one, the last one last. @type {number[]} */
    this.passed = [];
    /** @type {Sender<Stored>} */
    this.sender = new Sender(log, send, (stored) => this.#acknowledged(stored));
    const { images, start } = given;
    /** The image that is shown; null: there is none. @type {number | null} */
    this.shown = [shown, start, images[0]].find((id) => typeof id === "number" && images.includes(id)) ?? null;
    /** Nobody chose the image shown: the one most in doubt takes its place once that is known. */
    this.isFree = shown === null && start === null;
    if (log.pending.length) this.sender.grew();
  }

  /** The page was drawn anew. @param {Given} given */
  refresh(given) {
    this.shown = this.shownBy(given);
    this.given = given;
    this.onChange();
  }

  /** The image that is shown once the page is drawn anew. @param {Given} given @returns {number | null} */
  shownBy({ images, start }) {
    if (start !== null && start !== this.given.start && images.includes(start)) return start;
    return this.shown !== null && images.includes(this.shown) ? this.shown : (images[0] ?? null);
  }

  /** The image shown, as far as it is known. */
  get image() {
    return this.shown === null ? null : (this.told.get(this.shown) ?? null);
  }

  /** What is said of a class in an image. @param {number} imageId @param {number} classId @returns {Tag} */
  tagOf(imageId, classId) {
    const [, told, labelled, by, probability] = this.told.get(imageId)?.tags.find(([id]) => id === classId) ?? [classId, null, null, null, null];
    const here = this.answered.get(nameOf(imageId, classId));
    const answer = here ? here.answer : told;
    return { answer, labelled, labelledBy: by ?? "", probability, isContradicted: answer !== null && labelled !== null && answer !== labelled };
  }

  /** Classes of the image shown of which nobody said anything and something is suggested. @returns {{class: number, answer: Answer}[]} */
  get suggested() {
    const { image } = this;
    if (!image) return [];
    return this.given.classes.flatMap(([id]) => {
      const { answer, labelled, probability } = this.tagOf(image.id, id);
      return answer === null && labelled === null && probability !== null ? [{ class: id, answer: suggestedBy(probability) }] : [];
    });
  }

  /** Images whose pictures and tags are wanted soon: the one shown, then those that come next. */
  get wanted() {
    const { images } = this.given;
    const at = this.shown === null ? -1 : images.indexOf(this.shown);
    const wanted = [this.shown, ...this.following(2), images[at + 1], images[at - 1]];
    return [...new Set(wanted.filter((id) => typeof id === "number"))];
  }

  /** The images that are asked about next, those in doubt first. @param {number} count */
  following(count) {
    const open = (this.news?.order ?? []).filter((id) => id !== this.shown && this.#isOpen(id));
    const fresh = open.filter((id) => !this.passed.includes(id));
    return [...fresh, ...this.passed.filter((id) => open.includes(id))].slice(0, count);
  }

  /** Say whether the image shown contains a class; null takes it back. @param {number} classId @param {Answer} answer */
  set(classId, answer) {
    this.#do([{ class: classId, answer }]);
  }

  /** From unknown to yes to no and to unknown. @param {number} classId */
  cycle(classId) {
    if (!this.image) return;
    const { answer } = this.tagOf(this.image.id, classId);
    this.set(classId, answer === null ? "yes" : answer === "yes" ? "no" : null);
  }

  /** Answer the unknown classes of the image shown as suggested, where nobody else answers meanwhile. */
  accept() {
    this.#do(this.suggested, true);
  }

  /** Take back the last step, except where somebody else answered since. */
  undo() {
    const step = this.done.pop();
    if (step) this.#again(step, this.undone, "after", "before");
  }

  redo() {
    const step = this.undone.pop();
    if (step) this.#again(step, this.done, "before", "after");
  }

  /** To the image that is most in doubt, or else the next one of which something is unknown. */
  goDoubtful() {
    const { shown } = this;
    const [next] = this.following(1);
    if (next === undefined || shown === null) return;
    this.passed = [...this.passed.filter((id) => id !== shown), shown].slice(-PASSED_MOST);
    this.#show(next);
    this.onChange();
  }

  /** In import order. @param {-1 | 1} step */
  go(step) {
    const next = this.at(step);
    if (next === null) return;
    this.#show(next);
    this.onChange();
  }

  /** The image before or after the one shown. @param {-1 | 1} step @returns {number | null} */
  at(step) {
    const { images } = this.given;
    return this.shown === null ? null : (images[images.indexOf(this.shown) + step] ?? null);
  }

  /** How far the server heard of this tab: what it tells from now on holds that. */
  get heard() {
    return (this.log.pending[0]?.seq ?? this.log.lastSeq + 1) - 1;
  }

  /** @param {News} news @param {number} heard of the moment at which it was asked for */
  take(news, heard) {
    this.news = news;
    for (const image of news.images) {
      this.told.set(image.id, image);
      for (const [classId] of image.tags) {
        const name = nameOf(image.id, classId);
        if ((this.answered.get(name)?.seq ?? Infinity) <= heard) this.answered.delete(name);
      }
    }
    const [first] = news.order;
    if (this.isFree && first !== undefined && this.given.images.includes(first)) this.#show(first);
    this.isFree = false;
    this.onChange();
  }

  /** @param {string} words */
  refuse(words) {
    this.problem = words;
    this.onChange();
  }

  /** Whether something of an image may be unknown. @param {number} imageId */
  #isOpen(imageId) {
    if (!this.told.has(imageId)) return true;
    return this.given.classes.some(([id]) => {
      const { answer, labelled } = this.tagOf(imageId, id);
      return answer === null && labelled === null;
    });
  }

  /** @param {number} imageId */
  #show(imageId) {
    this.isFree = false;
    if (imageId !== this.shown) this.refusal = "";
    this.shown = imageId;
  }

  /**
   * One step of the image shown.
   * @param {{class: number, answer: Answer}[]} answers
   * @param {boolean} [isConditional] refused where the answer is not the one seen here; else the last one wins
   */
  #do(answers, isConditional = false) {
    const { image } = this;
    if (!image) return;
    const step = answers
      .map(({ class: classId, answer }) => ({ image: image.id, class: classId, before: this.tagOf(image.id, classId).answer, after: answer }))
      .filter(({ before, after }) => before !== after);
    if (!step.length) return;
    this.done.push(step);
    this.undone = [];
    this.isFree = false;
    for (const change of step) this.#store(change, change.after, isConditional ? { before: change.before } : {});
    this.onChange();
  }

  /**
   * Undo or redo a step where its tags are as it left them.
   * @param {Change[]} step
   * @param {Change[][]} taken where it can be taken from the next time
   * @param {"before" | "after"} from
   * @param {"before" | "after"} to
   */
  #again(step, taken, from, to) {
    const { image: imageId } = step[0];
    this.#show(imageId);
    const others = step.filter((change) => this.#isOther(change, change[from]));
    const rest = step.filter((change) => !others.includes(change));
    if (rest.length) taken.push(rest);
    for (const change of rest) this.#store(change, change[to], { before: change[from] });
    for (const change of others) this.#forgetSteps(change);
    const names = this.given.classes.filter(([id]) => others.some((change) => change.class === id)).map(([, name]) => `'${name}'`);
    if (names.length) this.#say(imageId, `Somebody else answered meanwhile about ${names.join(", ")}, and that stays`);
    this.onChange();
  }

  /** Whether a class, if it is still there, has another answer. @param {Change} change @param {Answer} answer */
  #isOther({ image, class: classId }, answer) {
    return this.given.classes.some(([id]) => id === classId) && this.tagOf(image, classId).answer !== answer;
  }

  /** @param {number} imageId @param {string} words */
  #say(imageId, words) {
    const name = this.told.get(imageId)?.name;
    this.refusal = name ? `${name}: ${words}` : words;
  }

  /** What is another one's answer by now is not undone. @param {{image: number, class: number}} tag */
  #forgetSteps(tag) {
    const without = (/** @type {Change[][]} */ steps) =>
      steps.map((step) => step.filter((change) => change.image !== tag.image || change.class !== tag.class)).filter((step) => step.length);
    this.done = without(this.done);
    this.undone = without(this.undone);
  }

  /** @param {Change} change @param {Answer} answer @param {{before?: Answer}} condition */
  #store({ image, class: classId }, answer, condition) {
    const { seq } = this.log.append("tag", image, { class: classId, answer, ...condition });
    this.answered.set(nameOf(image, classId), { answer, seq });
    this.sender.grew();
  }

  /** @param {Stored} stored */
  #acknowledged({ acknowledged, refused }) {
    const sent = this.log.pending.filter(({ seq }) => seq <= acknowledged.seq);
    const nGone = this.log.acknowledge(acknowledged);
    this.problem = "";
    for (const tag of refused) {
      const name = nameOf(tag.image, tag.class);
      if (!isStoredLast(name, sent, refused) && (this.answered.get(name)?.seq ?? Infinity) <= acknowledged.seq) this.answered.delete(name);
      this.#forgetSteps(tag);
    }
    const last = refused[refused.length - 1];
    if (last) this.#say(last.image, refused.length > 1 ? `${last.reason} (and ${refused.length - 1} more)` : last.reason);
    this.sender.answered(nGone);
    this.onChange();
    if (nGone) this.onStored();
  }
}

/** Whether the last answer about a tag needs nothing and won, though one before it was refused. @param {string} name @param {LabelEvent[]} sent @param {Stored["refused"]} refused */
function isStoredLast(name, sent, refused) {
  const about = sent.filter(({ image_id, payload }) => nameOf(image_id, payload.class) === name);
  const isConditional = "before" in (about[about.length - 1]?.payload ?? {});
  return !isConditional && refused.filter((tag) => nameOf(tag.image, tag.class) === name).length < about.length;
}

/** @param {number} probability @returns {Answer} */
export function suggestedBy(probability) {
  return probability >= LIKELY ? "yes" : "no";
}

/** @param {number} imageId @param {number} classId */
function nameOf(imageId, classId) {
  return `${imageId}:${classId}`;
}
