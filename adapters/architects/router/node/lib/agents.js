// @ts-check
import { Deadlines } from "./deadlines.js";
import { statusPacket } from "./packets.js";

/** What is reported for an agent whose page is gone. */
const DISCONNECT = "disconnect";

/** Statuses in which it matters that the page is there; all others are final or not the page's to change. */
const AT_WORK = new Set(["none", "accepted", "onboarding", "waiting", "in task"]);

/** A page that lets this much pile up does not read; its socket is dropped, and it gets the rest on its next one. */
const MAX_UNSENT_BYTES = 8 * 1024 * 1024;

/** The page of one agent, from its first sign of life on. */
class Page {
  /** @type {import("./peer.js").Peer | null} the socket that spoke last for the agent, while it is open */
  peer = null;
  /** Away or silent for too long. */
  isGone = false;
  /** @type {string[]} live updates that wait for a socket */
  kept = [];
  /** @type {string[]} live updates sent since the page was last heard: lost if it is never heard again */
  unheard = [];
}

/** The agents that the operator made known: their status, their page's socket, and what is kept for them. */
export class Agents {
  /** @type {Map<string, Page>} */
  #pages = new Map();
  /** @type {Set<string>} agents of this process that no page was told of yet */
  #unclaimed = new Set();
  /** @type {Set<string>} those of them whose answer came when nobody waited for it any more */
  #missed = new Set();
  /** @type {Deadlines<string>} */
  #silence;
  #journal;
  #counters;
  #maxKept;

  /**
   * @param {object} options
   * @param {import("./journal.js").Journal} options.journal remembers who is known, and the statuses
   * @param {import("./counters.js").Counters} options.counters
   * @param {number} options.heartbeatLimitSeconds
   * @param {number} options.maxKept live updates kept for one agent; the oldest gives way
   * @param {(token: string) => void} options.onGone called when a page has been away or silent for too long
   */
  constructor({ journal, counters, heartbeatLimitSeconds, maxKept, onGone }) {
    this.#journal = journal;
    this.#counters = counters;
    this.#maxKept = maxKept;
    this.#silence = new Deadlines(heartbeatLimitSeconds, (token) => {
      const page = this.#page(token);
      page.isGone = true;
      this.#keepUnheard(page);
      if (this.reportedStatus(token) === DISCONNECT) onGone(token);
    });
    // Pages that an earlier process has known have their time to come back.
    this.waitAnew();
  }

  get count() {
    return this.#journal.agents.size;
  }

  /**
   * @param {unknown} token
   * @returns {token is string}
   */
  knows(token) {
    return typeof token === "string" && this.#journal.agents.has(token);
  }

  /**
   * The status that the operator gave last.
   *
   * @param {string} token
   */
  status(token) {
    return this.#journal.agents.get(token);
  }

  /**
   * The status as the operator is told it.
   *
   * @param {string} token
   */
  reportedStatus(token) {
    const status = this.status(token);
    return this.#pages.get(token)?.isGone && AT_WORK.has(status ?? "") ? DISCONNECT : status;
  }

  /** The statuses of all agents as the operator is told them. */
  reportedStatuses() {
    return Object.fromEntries([...this.#journal.agents.keys()].map((token) => [token, this.reportedStatus(token)]));
  }

  /**
   * Make an agent known, or note its new status.
   *
   * @param {string} token
   * @param {string} status
   */
  setStatus(token, status) {
    if (!this.knows(token)) this.#unclaimed.add(token);
    this.#journal.setAgent(token, status);
  }

  /**
   * Know exactly these agents from now on.
   *
   * @param {Record<string, string>} statuses
   */
  replaceAll(statuses) {
    const known = new Map(Object.entries(statuses));
    for (const token of [...this.#journal.agents.keys()]) {
      if (!known.has(token)) this.#forget(token);
    }
    // Who was not known yet was given to a page by an earlier process.
    for (const [token, status] of known) this.#journal.setAgent(token, status);
  }

  /**
   * Note that a socket spoke for an agent; from now on the agent's packets go there.
   *
   * @param {string} token
   * @param {import("./peer.js").Peer} peer
   * @param {boolean} isNew the page is new on this socket; the one before may be dead without anyone having noticed, and
   *   what it was sent last is kept
   * @returns {boolean} whether the agent had no page that was there
   */
  hear(token, peer, isNew) {
    const page = this.#page(token);
    const wasAway = page.peer === null || page.isGone;
    if (page.peer !== peer) {
      if (isNew) this.#keepUnheard(page);
      page.peer?.agents.delete(token);
      page.peer = peer;
      peer.agents.add(token);
    }
    page.isGone = false;
    page.unheard = [];
    this.#unclaimed.delete(token);
    this.#missed.delete(token);
    this.#silence.set(token);
    this.#journal.notePage(token);
    return wasAway;
  }

  /**
   * Note that a page was told that the agent is its own; it need not open a socket.
   *
   * @param {string} token
   */
  claim(token) {
    this.#unclaimed.delete(token);
    if (this.#missed.delete(token)) this.#silence.delete(token);
  }

  /**
   * Note that whoever asked for an agent did not wait for the answer. If no page knows of it, whoever asked has the time
   * of a silent page to ask again.
   *
   * @param {string} token
   */
  miss(token) {
    if (!this.#unclaimed.has(token)) return;
    this.#missed.add(token);
    this.#silence.set(token);
  }

  /**
   * Note that a socket is closed.
   *
   * @param {import("./peer.js").Peer} peer
   * @param {boolean} saidGoodbye otherwise the connection broke, and what it was sent last may not have arrived
   */
  leave(peer, saidGoodbye) {
    for (const token of peer.agents) {
      const page = this.#page(token);
      page.peer = null;
      if (saidGoodbye) page.unheard = [];
      else this.#keepUnheard(page);
      if (!page.isGone) this.#silence.set(token);
    }
    peer.agents.clear();
  }

  /** Give every page its time to be heard again: while nobody could answer it, it may have had no socket. */
  waitAnew() {
    for (const token of [...this.#journal.pages, ...this.#missed]) {
      this.#page(token).isGone = false;
      this.#silence.set(token);
    }
  }

  /**
   * Send a packet to an agent's page if there is a socket.
   *
   * @param {string} token
   * @param {string} text
   */
  tell(token, text) {
    const peer = this.#pages.get(token)?.peer;
    if (!peer) return;
    peer.send(text);
    if (peer.unsentBytes > MAX_UNSENT_BYTES) peer.terminate();
  }

  /**
   * Tell an agent's page its status as it is now, if there is a socket.
   *
   * @param {string} token
   */
  tellStatus(token) {
    this.tell(token, JSON.stringify(statusPacket(token, this.status(token))));
  }

  /**
   * Send a live update to an agent's page, or keep it until there is one.
   *
   * @param {string} token
   * @param {string} text
   */
  deliver(token, text) {
    const page = this.#page(token);
    if (page.peer?.isOpen && !page.isGone) {
      page.unheard.push(text);
      if (page.unheard.length > this.#maxKept) page.unheard.shift();
      this.tell(token, text);
      return;
    }
    page.kept.push(text);
    this.#boundKept(page);
  }

  /**
   * Send the live updates that were kept for an agent, in their order.
   *
   * @param {string} token
   */
  deliverKept(token) {
    const page = this.#page(token);
    const kept = page.kept;
    page.kept = [];
    for (const text of kept) this.deliver(token, text);
  }

  /** @param {string} token */
  #page(token) {
    let page = this.#pages.get(token);
    if (!page) this.#pages.set(token, (page = new Page()));
    return page;
  }

  /** @param {string} token */
  #forget(token) {
    this.#pages.get(token)?.peer?.agents.delete(token);
    this.#pages.delete(token);
    this.#unclaimed.delete(token);
    this.#missed.delete(token);
    this.#silence.delete(token);
    this.#journal.forgetAgent(token);
  }

  /** @param {Page} page */
  #keepUnheard(page) {
    page.kept = page.unheard.concat(page.kept);
    page.unheard = [];
    this.#boundKept(page);
  }

  /** @param {Page} page */
  #boundKept(page) {
    while (page.kept.length > this.#maxKept) {
      page.kept.shift();
      this.#counters.drop("kept_overflow");
    }
  }
}
