// @ts-check
/**
 * Keeps the page of the run that an operator on another machine serves through this router.
 *
 * The operator sends each file once, under the hash of its content. A page is put together aside and takes the place of
 * the one before as a whole. The router belongs to a run from the first word about its page until it is released.
 */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  closeSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

import { RefusalError, StartError, codeOf } from "../errors.js";

/** What workers read while the router serves no run. */
const CLOSED_PAGE =
  "<!doctype html><html lang=en><meta charset=utf-8><title>No task</title>" +
  "<p>There is no task here at the moment. If you have submitted your work, it has arrived.</p></html>\n";

/** Files of a page, at most. */
const MAX_FILES = 20_000;
const MAX_PATH_LENGTH = 500;

const CURRENT = "current";
const CLOSED = "closed";
const FILES = "files";
const RUN = "run.json";
const UNFINISHED = ".part";
const DIGEST = /^[0-9a-f]{64}$/;

/** The page, and the run that it belongs to. */
export class RunPage {
  #folder;
  /** @type {string | null} the run that the router belongs to */
  #run = null;

  /** @param {string | null} folder where it is kept; null if the router was started with a page of its own */
  constructor(folder) {
    this.#folder = folder;
    if (folder !== null) this.#run = RunPage.#open(folder);
  }

  /** The run that the router belongs to. */
  get run() {
    return this.#run;
  }

  /** The directory from which the page is served. */
  get directory() {
    return this.#folder === null ? "" : join(this.#folder, CURRENT);
  }

  /** A word for whose page the router has: its own, that of a run, or none. */
  get state() {
    if (this.#folder === null) return "own";
    return this.#run === null ? "none" : "of a run";
  }

  /**
   * Return whether an operator may attach that says which run is its own.
   *
   * @param {string | null} run
   * @returns {boolean}
   */
  admits(run) {
    return this.#folder === null || (run !== null && run === this.#run);
  }

  /**
   * Let the router belong to a run, and serve its page as soon as all files are here.
   *
   * @param {string} run names the run
   * @param {Map<string, string>} files the hash of each file, by its path in the page
   * @returns {string[]} the hashes of the files that have yet to be sent
   * @throws {RefusalError} the router belongs to another run, or a path or hash is none
   */
  claim(run, files) {
    const folder = this.#check(run);
    const digests = [...files.values()];
    if (files.size > MAX_FILES || ![...files.keys()].every(isPath) || !digests.every((each) => DIGEST.test(each))) {
      throw new RefusalError(400, "These are not the files of a page.");
    }
    if (this.#run === null) {
      writeDurably(join(folder, RUN), JSON.stringify({ run }));
      this.#run = run;
    }
    const sorted = [...files].sort(([one], [other]) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
    const page = createHash("sha256")
      .update(JSON.stringify(Object.fromEntries(sorted)))
      .digest("hex");
    if (page === readlinkSync(join(folder, CURRENT))) return [];
    const missing = digests.filter((digest) => !existsSync(join(folder, FILES, digest)));
    if (missing.length > 0) return [...new Set(missing)].sort();
    RunPage.#assemble(folder, page, files);
    return [];
  }

  /**
   * Return where a file of the page is kept.
   *
   * @param {string} digest its hash
   * @returns {string}
   * @throws {RefusalError} it is no hash, or no run has claimed the router
   */
  file(digest) {
    const folder = this.#check(this.#run ?? "");
    if (this.#run === null || !DIGEST.test(digest)) throw new RefusalError(404, "There is no such file.");
    return join(folder, FILES, digest);
  }

  /**
   * Let the router belong to nobody, and serve a page that says so.
   *
   * @param {string} run
   * @throws {RefusalError} it belongs to another run
   */
  release(run) {
    const folder = this.#check(run);
    point(folder, CLOSED);
    rmSync(join(folder, RUN), { force: true });
    syncFolder(folder);
    this.#run = null;
    tidy(folder, CLOSED, []);
  }

  /** @param {string} run */
  #check(run) {
    if (this.#folder === null) {
      throw new RefusalError(409, "This router was started with a page of its own and takes no other.");
    }
    if (this.#run !== null && this.#run !== run) {
      throw new RefusalError(409, "This router serves another run. End that run first, or use another router.");
    }
    return this.#folder;
  }

  /**
   * Prepare the folder.
   *
   * @param {string} folder
   * @returns {string | null} the run that an earlier process belonged to
   * @throws {StartError} the folder cannot be used
   */
  static #open(folder) {
    try {
      mkdirSync(join(folder, CLOSED), { mode: 0o700, recursive: true });
      mkdirSync(join(folder, FILES), { mode: 0o700, recursive: true });
      writeFileSync(join(folder, CLOSED, "index.html"), CLOSED_PAGE);
      if (!existsSync(join(folder, CURRENT))) point(folder, CLOSED);
      if (!existsSync(join(folder, RUN))) return null;
      return String(JSON.parse(readFileSync(join(folder, RUN), "utf8")).run);
    } catch (error) {
      throw new StartError(`The folder ${folder} cannot be used: ${codeOf(error)}.`);
    }
  }

  /**
   * Put a page together from its files, and serve it.
   *
   * @param {string} folder
   * @param {string} page
   * @param {Map<string, string>} files
   */
  static #assemble(folder, page, files) {
    const draft = join(folder, page + UNFINISHED);
    rmSync(draft, { force: true, recursive: true });
    for (const [path, digest] of files) {
      mkdirSync(dirname(join(draft, path)), { mode: 0o700, recursive: true });
      link(join(folder, FILES, digest), join(draft, path));
    }
    rmSync(join(folder, page), { force: true, recursive: true });
    renameSync(draft, join(folder, page));
    point(folder, page);
    tidy(folder, page, [...files.values()]);
  }
}

/**
 * Return whether a text is the path of a file below a folder.
 *
 * @param {string} path
 */
function isPath(path) {
  const hasOdd = path.includes("\\") || path.includes("\0") || path.length > MAX_PATH_LENGTH;
  return !hasOdd && path.split("/").every((part) => !["", ".", ".."].includes(part));
}

/**
 * Give a file one more name; copy it where a file has only one.
 *
 * @param {string} source
 * @param {string} target
 */
function link(source, target) {
  try {
    linkSync(source, target);
  } catch {
    copyFileSync(source, target);
  }
}

/**
 * Serve another folder from now on.
 *
 * @param {string} folder
 * @param {string} target
 */
function point(folder, target) {
  const draft = join(folder, CURRENT + UNFINISHED);
  rmSync(draft, { force: true });
  symlinkSync(target, draft);
  renameSync(draft, join(folder, CURRENT));
  syncFolder(folder);
}

/**
 * Remove pages that are not served any more, and files that the one served does not have.
 *
 * @param {string} folder
 * @param {string} kept
 * @param {string[]} files
 */
function tidy(folder, kept, files) {
  const needed = new Set([kept, CLOSED, CURRENT, FILES, RUN]);
  for (const name of readdirSync(folder)) {
    if (!needed.has(name)) rmSync(join(folder, name), { force: true, recursive: true });
  }
  const digests = new Set(files);
  for (const name of readdirSync(join(folder, FILES))) {
    if (!digests.has(name)) rmSync(join(folder, FILES, name), { force: true });
  }
}

/**
 * @param {string} path
 * @param {string} content
 */
function writeDurably(path, content) {
  const draft = path + UNFINISHED;
  writeFileSync(draft, content, { flush: true });
  renameSync(draft, path);
  syncFolder(dirname(path));
}

/** @param {string} folder */
function syncFolder(folder) {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
