// @ts-check
/** @typedef {import("../types.js").Mode} Mode */

/** Addresses of what the server sends besides the scene. */
export class Routes {
  /**
   * @param {string} base address of the app, with a slash at the end
   * @param {string} projectKey
   * @param {string} look names how pictures are made; browsers keep them for good
   */
  constructor(base, projectKey, look = "") {
    this.base = base;
    this.root = `${base}fcnlab/${encodeURIComponent(projectKey)}`;
    this.look = look;
  }

  get #suffix() {
    return this.look && `?look=${encodeURIComponent(this.look)}`;
  }

  /** Another page of the app. @param {string} title @param {import("../types.js").Scene} scene */
  page(title, { project, labeller }) {
    return `${this.base}${title.toLowerCase()}?${new URLSearchParams({ project: String(project.id), labeller })}`;
  }

  /** Where the event log goes. */
  get events() {
    return `${this.root}/events`;
  }

  /** Where the answers to the points of a survey go. @param {number} surveyId */
  answers(surveyId) {
    return `${this.root}/survey/${surveyId}/answers`;
  }

  /** Where tags go. */
  get tags() {
    return `${this.root}/tags`;
  }

  /** What is said of images, and which ones to ask about next. @param {{ids: readonly number[], besides: readonly number[]}} wanted */
  tagNews({ ids, besides }) {
    return `${this.root}/tags?${new URLSearchParams({ ids: ids.join(","), besides: besides.join(",") })}`;
  }

  /** @param {number} imageId */
  image(imageId) {
    return `${this.root}/image/${imageId}${this.#suffix}`;
  }

  /** @param {number} imageId @param {import("../view/tiles.js").Tile} tile */
  tile(imageId, { level, x, y }) {
    return `${this.root}/tile/${imageId}/${level}/${x}/${y}${this.#suffix}`;
  }

  /** @param {number} imageId */
  thumbnail(imageId) {
    return `${this.root}/thumb/${imageId}${this.#suffix}`;
  }

  /** Images in import order. @param {number} start @param {number} count */
  strip(start, count) {
    return `${this.root}/strip?start=${start}&count=${count}`;
  }

  /** Images that promise most first, with the numbers of all in that order. @param {number} start @param {number} count */
  ranked(start, count) {
    return `${this.root}/strip?sort=gain&start=${start}&count=${count}`;
  }

  /** The numbers of the images that a tag chooses, in import order or those that promise most first. @param {string} tag "class id:yes", ":no" ... @param {boolean} byGain */
  tagged(tag, byGain) {
    return `${this.root}/strip?${new URLSearchParams({ tag, sort: byGain ? "gain" : "" })}`;
  }

  /** Images by their numbers, with what they promise. @param {readonly number[]} ids */
  cells(ids) {
    return `${this.root}/strip?sort=gain&ids=${ids.join(",")}`;
  }

  /** What was counted in an image, with the objects one by one. @param {number} imageId */
  objects(imageId) {
    return `${this.root}/objects/${imageId}`;
  }

  /** A mask to hold beside the one shown. @param {number} imageId @param {"imported" | "prediction"} kind */
  reference(imageId, kind) {
    return `${this.root}/reference/${kind}/${imageId}`;
  }

  /** Pixels to ask about. @param {{imageId: number, count: number, how: "margin" | "random", avoid: readonly number[][]}} wanted */
  queries({ imageId, count, how, avoid }) {
    const query = new URLSearchParams({ count: String(count), strategy: how, avoid: avoid.flat().join(",") });
    return `${this.root}/queries/${imageId}?${query}`;
  }

  /** @param {{imageId: number, after: number, status: number, mode: Mode, classIds: readonly number[], clientId: string}} wanted */
  overlay({ imageId, after, status, mode, classIds, clientId }) {
    const query = new URLSearchParams({
      after: String(after),
      status: String(status),
      mode,
      class_id: classIds.join(),
      client: clientId,
    });
    return `${this.root}/overlay/${imageId}?${query}`;
  }
}

/**
 * The app's address, from that of a module Streamlit serves below it.
 * @param {string} moduleUrl
 */
export function appBase(moduleUrl) {
  return moduleUrl.split("/_stcore/")[0] + "/";
}
