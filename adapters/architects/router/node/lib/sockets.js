// @ts-check
import { WebSocketServer } from "ws";

import { decodeFrame } from "./packets.js";
import { CLOSE_TOO_BIG, Peer, isGoodbye } from "./peer.js";

/** One frame of the operator, who sends packets in batches. */
const MAX_OPERATOR_FRAME_BYTES = 256 * 1024 * 1024;
/** What one read from a socket may add to the count of a page's unfinished message. */
const READ_SLACK_BYTES = 64 * 1024;

/**
 * Let WebSockets in on path `/`, and hand what they say to the switchboard.
 *
 * @param {import("node:http").Server} server
 * @param {import("./switchboard.js").Switchboard} switchboard
 * @param {Pick<import("./settings.js").Settings, "maxSockets" | "maxPacketBytes">} limits
 */
export function acceptSockets(server, switchboard, { maxSockets, maxPacketBytes }) {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_OPERATOR_FRAME_BYTES });
  server.on("upgrade", (request, connection, head) => {
    const path = (request.url ?? "").split("?", 1)[0];
    if (path !== "/") refuse(connection, "404 Not Found");
    else if (sockets.clients.size >= maxSockets) refuse(connection, "503 Service Unavailable");
    else sockets.handleUpgrade(request, connection, head, (socket) => serve(socket, connection));
  });

  /**
   * @param {import("ws").WebSocket} socket
   * @param {import("node:stream").Duplex} connection
   */
  function serve(socket, connection) {
    const peer = new Peer(socket);
    let unfinishedBytes = 0;
    switchboard.enter(peer);
    socket.on("message", (/** @type {Buffer} */ message, isBinary) => {
      unfinishedBytes = 0;
      if (!peer.isOpen) return;
      if (message.length > maxPacketBytes && !switchboard.isOperator(peer)) closeTooBig();
      else switchboard.receive(peer, isBinary ? null : decodeFrame(message.toString()));
    });
    // Only the operator's messages may be large, and who it is shows when a message is complete: a page's is stopped
    // while it grows.
    connection.on("data", (chunk) => {
      unfinishedBytes += chunk.length;
      if (unfinishedBytes > maxPacketBytes + READ_SLACK_BYTES && !switchboard.isOperator(peer)) closeTooBig();
    });
    socket.on("close", (code) => switchboard.leave(peer, isGoodbye(code)));
    // A broken frame or connection: the library closes the socket, and "close" follows.
    socket.on("error", () => {});

    function closeTooBig() {
      peer.close(CLOSE_TOO_BIG, `a message may have ${maxPacketBytes} bytes`);
    }
  }
}

/**
 * @param {import("node:stream").Duplex} connection
 * @param {string} status
 */
function refuse(connection, status) {
  connection.on("error", () => {});
  connection.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
