// @ts-check
/** One agent as the router sees it: its status, the socket of its page, and the live updates that wait for it. */

/** Reported for an agent whose page is gone. */
const DISCONNECT = "disconnect";

/** Statuses in which it matters that the page is there; the others are final, or not the page's to change. */
const AT_WORK = new Set(["none", "accepted", "onboarding", "waiting", "in task"]);

/** Live updates, oldest first; when there are too many the oldest are discarded. */
export class UpdateBuffer {
  #maxCount;
  #maxBytes;
  /** @type {string[]} */
  #updates = [];
  #sizeBytes = 0;

  /**
   * @param {number} maxCount how many it holds
   * @param {number} maxBytes how large they may be together; the newest is held whatever its size
   */
  constructor(maxCount, maxBytes) {
    this.#maxCount = maxCount;
    this.#maxBytes = maxBytes;
  }

  /** Number of updates. */
  get length() {
    return this.#updates.length;
  }

  /**
   * Add updates behind the others.
   *
   * @param {string[]} updates
   * @returns {number} how many were discarded for them
   */
  add(updates) {
    let discarded = 0;
    for (const update of updates) {
      this.#updates.push(update);
      this.#sizeBytes += update.length;
      while (this.length > this.#maxCount || (this.length > 1 && this.#sizeBytes > this.#maxBytes)) {
        this.#sizeBytes -= this.#updates.shift()?.length ?? 0;
        discarded += 1;
      }
    }
    return discarded;
  }

  /** Return all updates and hold none of them any more. */
  takeAll() {
    const updates = this.#updates;
    this.#updates = [];
    this.#sizeBytes = 0;
    return updates;
  }
}

/** One agent, known by its token. */
export class AgentSession {
  /** @type {import("../sockets/connection.js").Connection | null} the socket that last spoke for it, while it is open */
  connection = null;
  /** @type {import("../sockets/connection.js").Connection[]} all open sockets that have spoken for it, for instance of
   *   several tabs; the oldest is first */
  connections = [];
  /** True if its page was there once, and has been away or silent for too long. */
  isGone = false;
  /** True if the operator wants to know when the page shows that it is open. */
  isAsked = false;

  /**
   * @param {string} token its id on the wire
   * @param {string} status the status that the operator gave last
   * @param {object} parts
   * @param {boolean} parts.isClaimed a page knows of it, as far as can be told
   * @param {UpdateBuffer} parts.kept holds the live updates that wait for a socket
   * @param {UpdateBuffer} parts.unheard holds the live updates sent since the page was last heard; they are lost if it is
   *   never heard again
   */
  constructor(token, status, { isClaimed, kept, unheard }) {
    this.token = token;
    this.status = status;
    this.isClaimed = isClaimed;
    this.kept = kept;
    this.unheard = unheard;
  }

  /** The status that the operator sees. */
  get reportedStatus() {
    return this.isGone && AT_WORK.has(this.status) ? DISCONNECT : this.status;
  }

  /** Keep what was sent since the page was last heard, before the rest; return how many were discarded. */
  keepUnheard() {
    return this.kept.add([...this.unheard.takeAll(), ...this.kept.takeAll()]);
  }
}
