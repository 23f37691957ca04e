// @ts-check
/** Keeps the known agents, routes packets to their pages, and notices which pages are gone. */
import { DeadlineQueue } from "../deadline_queue.js";
import { POLICY_VIOLATION } from "../sockets/connection.js";
import { AgentSession, UpdateBuffer } from "./agent_session.js";

/** The status of an agent that came without one. */
export const FIRST_STATUS = "none";

/** A page that lets this much pile up does not read; its socket is dropped, and it gets the rest on its next one. */
const MAX_UNSENT_BYTES = 8 * 1024 * 1024;

/** Sockets that may speak for one agent at a time. */
const MAX_CONNECTIONS = 3;

/** Size of the live updates that are kept for one agent, apart from the newest. */
const MAX_KEPT_BYTES = 4 * 1024 * 1024;

/** How often a silent page is asked for a sign of life until it is gone: a tab in the background sends no heartbeats. */
const PINGS_PER_LIMIT = 3;

/** @typedef {import("../sockets/connection.js").Connection} Connection */

/** All known agents, and which of those with a page have not been heard from the longest. */
export class AgentSessions {
  #journal;
  #counters;
  #maxKept;
  /** @type {DeadlineQueue<string>} */
  #silence;
  /** @type {DeadlineQueue<string>} */
  #pulse;
  /** @type {Map<string, AgentSession>} */
  #sessions = new Map();

  /**
   * @param {object} parts
   * @param {import("../journal/journal.js").Journal} parts.journal remembers agents, statuses and pages; those of an
   *   earlier process get their time to come back
   * @param {import("../counters.js").Counters} parts.counters counts discarded updates
   * @param {number} parts.maxKept number of live updates kept for one agent while its socket is down
   * @param {number} parts.heartbeatLimitSeconds silence after which a page is gone
   * @param {() => number} parts.monotonic returns seconds since any fixed moment
   */
  constructor({ journal, counters, maxKept, heartbeatLimitSeconds, monotonic }) {
    this.#journal = journal;
    this.#counters = counters;
    this.#maxKept = maxKept;
    this.#silence = new DeadlineQueue(heartbeatLimitSeconds, monotonic);
    this.#pulse = new DeadlineQueue(heartbeatLimitSeconds / PINGS_PER_LIMIT, monotonic);
    for (const [token, status] of journal.agents) this.#sessions.set(token, this.#newSession(token, status, true));
    for (const token of journal.pages) this.#silence.set(token);
  }

  /** Number of known agents. */
  get length() {
    return this.#sessions.size;
  }

  /**
   * Return the agent of a token, or null if it is not known.
   *
   * @param {unknown} token
   * @returns {AgentSession | null}
   */
  get(token) {
    return (typeof token === "string" && this.#sessions.get(token)) || null;
  }

  /** The agents whose pages are reported as gone unless they are heard. */
  get watched() {
    const watched = [...this.#sessions].filter(([token, { isClaimed }]) => isClaimed && this.#silence.has(token));
    return watched.map(([token]) => token);
  }

  /** Return the statuses of all agents, as the operator sees them. */
  reportedStatuses() {
    return Object.fromEntries([...this.#sessions].map(([token, session]) => [token, session.reportedStatus]));
  }

  /**
   * Set an agent's status; an unknown agent becomes known, and no page knows of it yet.
   *
   * @param {string} token
   * @param {string | null} status null keeps the status that there is
   * @returns {AgentSession}
   */
  setStatus(token, status) {
    let session = this.#sessions.get(token);
    if (session === undefined) {
      session = this.#newSession(token, status ?? FIRST_STATUS, false);
      this.#sessions.set(token, session);
    }
    session.status = status ?? session.status;
    if (this.#journal.agents.get(token) !== session.status) this.#journal.noteAgent(token, session.status);
    return session;
  }

  /**
   * Know exactly these agents from now on.
   *
   * @param {ReadonlyMap<string, string>} statuses
   * @returns {AgentSession[]} the agents that are new or have another status than before. New ones were given to a page
   *   by an earlier process.
   */
  replaceAll(statuses) {
    for (const [token, session] of this.#sessions) if (!statuses.has(token)) this.#forget(session);
    const changed = [];
    for (const [token, status] of statuses) {
      const known = this.#sessions.get(token);
      if (known?.status === status) continue;
      const session = this.setStatus(token, status);
      if (known === undefined) session.isClaimed = true;
      changed.push(session);
    }
    return changed;
  }

  /**
   * Note that a socket spoke for an agent; it gets the agent's packets from now on.
   *
   * @param {AgentSession} session
   * @param {Connection} connection
   * @param {object} options
   * @param {boolean} options.isNew the page said that it is new on this socket. The socket before may be dead without
   *   anybody having noticed, and what was sent to it last is sent again.
   * @returns {boolean} whether the agent's page was away before
   */
  hear(session, connection, { isNew }) {
    const wasAway = session.connection === null || session.isGone;
    this.#addConnection(session, connection);
    if (session.connection !== connection) {
      if (isNew) this.#countDiscarded(session.keepUnheard());
      session.connection?.agents.delete(session.token);
      session.connection = connection;
      connection.agents.add(session.token);
    }
    session.unheard.takeAll();
    session.isGone = false;
    session.isClaimed = true;
    this.#silence.set(session.token);
    this.#pulse.set(session.token);
    this.#journal.notePage(session.token);
    return wasAway;
  }

  /**
   * Note that the socket of an agent's page gave a sign of life.
   *
   * @param {AgentSession} session
   * @returns {boolean} whether the page was away before
   */
  feel(session) {
    const wasAway = session.isGone;
    session.isGone = false;
    this.#silence.set(session.token);
    this.#pulse.set(session.token);
    return wasAway;
  }

  /**
   * Have an agent's page show that it is open; if its socket is closed, it may open another one.
   *
   * @param {string} token
   */
  ask(token) {
    const session = this.#sessions.get(token);
    if (session === undefined) return;
    session.isAsked = true;
    session.connection?.ping();
  }

  /**
   * Note that a page has received the agent as its own; it need not open a socket.
   *
   * @param {AgentSession} session
   */
  claim(session) {
    if (session.isClaimed) return;
    session.isClaimed = true;
    this.#silence.delete(session.token);
  }

  /**
   * Note that the page that asked for an agent did not wait for the answer. If no page knows of the agent, there is as much
   * time to ask again as a silent page has.
   *
   * @param {AgentSession} session
   */
  miss(session) {
    if (!session.isClaimed) this.#silence.set(session.token);
  }

  /**
   * Note that a socket is closed.
   *
   * @param {Connection} connection
   * @param {object} options
   * @param {boolean} options.saidGoodbye otherwise what it was sent last is kept
   */
  lose(connection, { saidGoodbye }) {
    for (const token of connection.agents) {
      const session = /** @type {AgentSession} */ (this.#sessions.get(token));
      session.connection = null;
      if (saidGoodbye) session.unheard.takeAll();
      else this.#countDiscarded(session.keepUnheard());
      if (!session.isGone) this.#silence.set(token);
    }
    connection.agents.clear();
    for (const token of connection.spokeFor) {
      const known = this.#sessions.get(token);
      if (known) known.connections = known.connections.filter((other) => other !== connection);
    }
  }

  /** Give every page its full time to be heard again: while nobody could answer it, it may have had no socket. */
  restartSilence() {
    for (const session of this.#sessions.values()) {
      if (!session.isGone && !this.#silence.has(session.token)) continue;
      session.isGone = false;
      this.#silence.set(session.token);
    }
  }

  /**
   * From now on watch for agents whose page has been away or silent for too long.
   *
   * @param {(sessions: AgentSession[]) => void} onGone
   */
  watchSilence(onGone) {
    this.#silence.watch((tokens) => {
      const gone = tokens.map((token) => /** @type {AgentSession} */ (this.#sessions.get(token)));
      for (const session of gone) {
        session.isGone = true;
        this.#countDiscarded(session.keepUnheard());
      }
      onGone(gone);
    });
  }

  /** From now on ask the sockets of silent pages for a sign of life. */
  watchPulse() {
    this.#pulse.watch((tokens) => tokens.forEach((token) => this.#ping(token)));
  }

  /**
   * Send a packet to the agent's page if it is there; otherwise it is not worth keeping.
   *
   * @param {AgentSession} session
   * @param {string} packet
   */
  send(session, packet) {
    const { connection } = session;
    if (connection === null || session.isGone) return;
    if (connection.unsentBytes > MAX_UNSENT_BYTES) connection.terminate();
    connection.send(packet);
  }

  /**
   * Send a live update to the agent's page, or keep it until there is one.
   *
   * @param {AgentSession} session
   * @param {string} packet
   */
  deliver(session, packet) {
    if (!session.connection?.isOpen || session.isGone) {
      this.#countDiscarded(session.kept.add([packet]));
    } else {
      session.unheard.add([packet]);
      this.send(session, packet);
    }
  }

  /**
   * Send the live updates that were kept for an agent, oldest first.
   *
   * @param {AgentSession} session
   */
  deliverKept(session) {
    for (const packet of session.kept.takeAll()) this.deliver(session, packet);
  }

  /**
   * Add a socket to those of an agent; when there are too many, the oldest is closed.
   *
   * @param {AgentSession} session
   * @param {Connection} connection
   */
  #addConnection({ connections, token }, connection) {
    if (connections.includes(connection)) return;
    connection.spokeFor.add(token);
    connections.push(connection);
    if (connections.length <= MAX_CONNECTIONS) return;
    this.#counters.drop("agent_sockets");
    connections.shift()?.close(POLICY_VIOLATION);
  }

  /** @param {string} token */
  #ping(token) {
    const session = this.#sessions.get(token);
    if (!session?.connection || session.isGone) return;
    session.connection.ping();
    this.#pulse.set(token);
  }

  /**
   * Remove an agent; its socket stays open and speaks for nobody.
   *
   * @param {AgentSession} session
   */
  #forget({ token, connection }) {
    this.#sessions.delete(token);
    this.#silence.delete(token);
    this.#pulse.delete(token);
    connection?.agents.delete(token);
    this.#journal.noteAgent(token, null);
  }

  /**
   * @param {string} token
   * @param {string} status
   * @param {boolean} isClaimed
   */
  #newSession(token, status, isClaimed) {
    const [kept, unheard] = [0, 1].map(() => new UpdateBuffer(this.#maxKept, MAX_KEPT_BYTES));
    return new AgentSession(token, status, { isClaimed, kept, unheard });
  }

  /** @param {number} count */
  #countDiscarded(count) {
    for (let discarded = 0; discarded < count; discarded += 1) this.#counters.drop("kept_overflow");
  }
}
