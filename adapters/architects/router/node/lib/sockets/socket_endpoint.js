// @ts-check
/** Accepts WebSockets of pages and of the operator, and moves text between them and the hub. */
import { WebSocketServer } from "ws";

import { DeadlineQueue } from "../deadline_queue.js";
import { Connection, POLICY_VIOLATION, TOO_BIG, isGoodbye } from "./connection.js";

/** Size of a frame from the operator, who sends packets in batches. */
const MAX_OPERATOR_FRAME_BYTES = 256 * 1024 * 1024;
/** One read from a socket may add this much to the count of a page's unfinished message. */
const READ_SLACK_BYTES = 64 * 1024;

/** A client whose message is too big has this long to learn why it is closed. */
const LINGER_SECONDS = 1;

/** @typedef {import("ws").WebSocket} WebSocket */
/** @typedef {import("node:stream").Duplex} Duplex */

/** Accepts sockets on path `/`, up to a limit. */
export class SocketEndpoint {
  #hub;
  #known;
  #counters;
  #maxSockets;
  #maxPacketBytes;
  #server = new WebSocketServer({ noServer: true, maxPayload: MAX_OPERATOR_FRAME_BYTES });
  /** @type {DeadlineQueue<Connection>} */
  #greetings;

  /**
   * @param {object} parts
   * @param {import("./hub.js").Hub} parts.hub handles what is said on them
   * @param {import("../http/client_address.js").KnownAddresses} parts.known learns where pages with an agent are
   * @param {import("../counters.js").Counters} parts.counters counts sockets that are refused
   * @param {number} parts.maxSockets how many may be open at once
   * @param {number} parts.maxPacketBytes size of a page's packet
   * @param {number} parts.greetingSeconds a socket on which nobody is known by then is closed
   * @param {() => number} parts.monotonic returns seconds since any fixed moment
   */
  constructor({ hub, known, counters, maxSockets, maxPacketBytes, greetingSeconds, monotonic }) {
    this.#hub = hub;
    this.#known = known;
    this.#counters = counters;
    this.#maxSockets = maxSockets;
    this.#maxPacketBytes = maxPacketBytes;
    this.#greetings = new DeadlineQueue(greetingSeconds, monotonic);
    this.#greetings.watch((connections) => {
      for (const connection of connections) connection.close(POLICY_VIOLATION);
    });
  }

  /**
   * Serve the sockets of an HTTP server, each for as long as it is open.
   *
   * @param {import("node:http").Server} server
   */
  serve(server) {
    server.on("upgrade", (request, stream, head) => {
      const path = (request.url ?? "").split("?", 1)[0];
      if (path !== "/") {
        refuse(stream, "404 Not Found");
      } else if (this.#hub.socketCount >= this.#maxSockets) {
        this.#counters.drop("socket_limit");
        refuse(stream, "503 Service Unavailable");
      } else {
        this.#server.handleUpgrade(request, stream, head, (socket) => this.#listen(socket, request, stream));
      }
    });
  }

  /**
   * @param {WebSocket} socket
   * @param {import("node:http").IncomingMessage} request
   * @param {Duplex} stream
   */
  #listen(socket, request, stream) {
    const connection = new Connection(socket);
    this.#hub.connect(connection);
    this.#greetings.set(connection);
    let unfinishedBytes = 0;
    // Only the operator's messages may be large, and it is the operator's once a message is complete: a page's is stopped
    // while it grows.
    stream.on("data", (chunk) => {
      unfinishedBytes += chunk.length;
      const isTooBig = unfinishedBytes > this.#maxPacketBytes + READ_SLACK_BYTES;
      if (!isTooBig || !connection.isOpen || this.#hub.isOperator(connection)) return;
      this.#counters.drop("packet_too_big");
      connection.close(TOO_BIG);
      // The rest is not read, not even to find the answer to the close frame in it.
      socket.pause();
      setTimeout(() => connection.terminate(), LINGER_SECONDS * 1000).unref();
    });
    socket.on("message", (message, isBinary) => {
      unfinishedBytes = 0;
      this.#hub.onMessage(connection, isBinary ? null : message.toString());
      if (this.#greetings.has(connection) && this.#hub.isKnown(connection)) {
        this.#greetings.delete(connection);
        this.#known.note(request);
      }
    });
    socket.on("close", (code) => {
      this.#greetings.delete(connection);
      this.#hub.disconnect(connection, { saidGoodbye: isGoodbye(code) });
    });
    // After a broken frame or connection the library closes the socket, and "close" follows.
    socket.on("error", () => {});
  }
}

/**
 * @param {Duplex} stream
 * @param {string} status
 */
function refuse(stream, status) {
  stream.on("error", () => {});
  stream.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
