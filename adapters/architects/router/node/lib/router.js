// @ts-check
/** Puts the router together: everything between the journal below and the HTTP server above. */
import { Counters } from "./counters.js";
import { codeOf } from "./errors.js";
import { log } from "./log.js";
import { TaskConfigFile } from "./http/task_config.js";
import { CommitWaits } from "./operator/commit_waits.js";
import { OperatorLink } from "./operator/operator_link.js";
import { OperatorOrders } from "./operator/operator_orders.js";
import { WaitingRequests } from "./operator/waiting_requests.js";
import { Webhooks } from "./operator/webhooks.js";
import { BUSY, PacketFactory } from "./packets.js";
import { AgentSessions } from "./pages/agents.js";
import { PageRequests } from "./pages/page_requests.js";
import { PageSessions } from "./pages/page_sessions.js";
import { Hub } from "./sockets/hub.js";

/** The parts of a running router. */
export class Router {
  #page;
  #version;
  #journal;
  #requests;
  #agents;
  #link;
  #sessions;

  /**
   * @param {object} parts
   * @param {import("./settings.js").RouterSettings} parts.settings its limits
   * @param {import("./settings.js").Secret} parts.secret makes a socket the operator's
   * @param {import("./http/run_page.js").RunPage} parts.page knows the run that the router belongs to
   * @param {import("./journal/journal.js").Journal} parts.journal the outbox and the known agents
   * @param {() => number} parts.clock returns seconds since the epoch, for timestamps on packets
   * @param {() => number} parts.monotonic returns seconds since any fixed moment, for durations
   * @param {() => string} parts.newId makes request ids
   */
  constructor({ settings, secret, page, journal, clock, monotonic, newId }) {
    const counters = new Counters();
    const config = new TaskConfigFile(settings.static);
    const packets = new PacketFactory(clock, () => config.text("router.busy", BUSY));
    const requests = new WaitingRequests({
      packets,
      deadlineSeconds: settings.requestDeadlineSeconds,
      maxWaiting: settings.maxSockets,
      monotonic,
    });
    const agents = new AgentSessions({
      journal,
      counters,
      maxKept: settings.maxKeptPerAgent,
      heartbeatLimitSeconds: settings.heartbeatLimitSeconds,
      monotonic,
    });
    const link = new OperatorLink({
      journal,
      packets,
      counters,
      silenceSeconds: settings.operatorSilenceSeconds,
      commits: new CommitWaits(settings.commitWaitSeconds),
      monotonic,
    });
    const webhooks = new Webhooks({ journal, packets, counters });
    const orders = new OperatorOrders({ journal, agents, requests, webhooks, link, packets, counters });
    const graceSeconds = settings.operatorGraceSeconds;
    const sessions = new PageSessions({ journal, agents, link, packets, counters, graceSeconds });
    this.counters = counters;
    this.webhooks = webhooks;
    this.pageRequests = new PageRequests({ journal, agents, requests, link, packets, counters, newId });
    this.hub = new Hub({
      secret,
      page,
      sessions,
      requests: this.pageRequests,
      link,
      orders,
      counters,
      maxPacketBytes: settings.maxPacketBytes,
      maxUnknown: Math.max(1, Math.floor(settings.maxSockets / 4)),
    });
    this.#page = page;
    this.#version = settings.version;
    this.#journal = journal;
    this.#requests = requests;
    this.#agents = agents;
    this.#link = link;
    this.#sessions = sessions;
  }

  /** From now on write the journal and watch for pages that are gone. */
  run() {
    this.#sessions.watchSilence();
    this.#sessions.watchPulse();
    this.#link.watchPulse();
    this.#journal.writeBatches(
      () => this.#link.flush(),
      (error) => this.#onJournalFailed(error),
    );
  }

  /**
   * Wait until there has been no operator for some time.
   *
   * @param {number} seconds
   */
  async waitAbandoned(seconds) {
    await this.#link.waitAbandoned(seconds);
  }

  /** Forget the agents of a run that has ended, and its provider's site. */
  forgetRun() {
    this.#agents.replaceAll(new Map());
    this.webhooks.forget();
  }

  /** Return what there is and what was lost, for monitoring. */
  figures() {
    return {
      dropped: this.counters.dropped,
      known_agents: this.#agents.length,
      operator_attached: this.#link.isAttached,
      outbox_bytes: this.#journal.outbox.sizeBytes,
      outbox_length: this.#journal.outbox.length,
      page: this.#page.state,
      refused_operators: this.counters.refusedOperators,
      sockets: this.hub.socketCount,
      version: this.#version,
    };
  }

  /** Answer everyone who waits, and close all sockets. */
  close() {
    this.#requests.giveUpAll();
    this.hub.close();
  }

  /** Write what still waits to the journal, and close it. */
  async closeJournal() {
    await this.#journal.close();
  }

  /** @param {unknown} error */
  #onJournalFailed(error) {
    this.counters.drop("journal_unwritable");
    log("journal_write_failed", { reason: codeOf(error) });
  }
}
