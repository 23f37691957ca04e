// @ts-check
import { Agents } from "./agents.js";
import { Counters } from "./counters.js";
import { OperatorLink } from "./operator_link.js";
import { OperatorOrders } from "./operator_orders.js";
import { PageRequests } from "./page_requests.js";
import { Switchboard } from "./switchboard.js";
import { WaitingRequests } from "./waiting_requests.js";

/**
 * Put the router together: all that there is between the journal below and the server above.
 *
 * @param {object} parts
 * @param {import("./settings.js").Settings} parts.settings
 * @param {import("./journal.js").Journal} parts.journal
 * @param {(offered: unknown) => boolean} parts.isSecret
 * @param {() => void} parts.onOperator called when an operator has come
 * @param {() => void} parts.onNoOperator called when the operator has gone
 */
export function assembleRouter({ settings, journal, isSecret, onOperator, onNoOperator }) {
  const counters = new Counters();
  const requests = new WaitingRequests(settings.requestDeadlineSeconds, settings.maxSockets);
  const agents = new Agents({
    journal,
    counters,
    heartbeatLimitSeconds: settings.heartbeatLimitSeconds,
    maxKept: settings.maxKeptPerAgent,
    onGone: (token) => switchboard.reportStatus(token),
  });
  const link = new OperatorLink(journal, counters, {
    onAttach() {
      onOperator();
      agents.waitAnew();
      pageRequests.greetOperator();
    },
    onAway: onNoOperator,
  });
  journal.onCommitted = () => link.flush();
  const orders = new OperatorOrders({ journal, counters, agents, requests, link });
  const { operatorGraceSeconds, idleSeconds } = settings;
  const switchboard = new Switchboard({
    journal,
    counters,
    agents,
    link,
    orders,
    isSecret,
    operatorGraceSeconds,
    greetingSeconds: idleSeconds,
  });
  const pageRequests = new PageRequests({ journal, agents, requests, link });

  return {
    switchboard,
    pageRequests,
    /** What there is and what was lost, for whoever watches the process. */
    figures: () => ({
      dropped: counters.dropped,
      known_agents: agents.count,
      operator_attached: link.isAttached,
      outbox_bytes: journal.outboxSize.bytes,
      outbox_length: journal.outboxSize.length,
      refused_operators: counters.refusedOperators,
      sockets: switchboard.socketCount,
    }),
    /** Answer everyone who waits, and close all sockets. */
    close() {
      requests.giveUpAll();
      switchboard.close();
    },
  };
}
