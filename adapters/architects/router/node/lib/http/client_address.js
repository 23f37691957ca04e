// @ts-check
/**
 * Finds out which address a request comes from, for limits by address, and remembers those of agents.
 *
 * Behind a web server every connection comes from that server, which says in `X-Forwarded-For` for whom. What stands
 * further to the left in that header was written by the client itself, and is worth nothing.
 */
import { isIPv4, isIPv6 } from "node:net";

/** Groups of an IPv6 address that count: a provider gives its customer a whole network. */
const NETWORK_GROUPS = 4;

/** Known addresses that are remembered; beyond it the longest unused is forgotten. */
const MAX_ADDRESSES = 10_000;

/** The address of a client. */
export class ClientAddress {
  /** @param {string} text */
  constructor(text) {
    const address = text.toLowerCase().startsWith("::ffff:") && isIPv4(text.slice(7)) ? text.slice(7) : text;
    /**
     * True if the client is on this machine. Limits by address do not apply to it: simulated crowds and benchmarks come
     * from there.
     */
    this.isLocal = isIPv4(address)
      ? address.startsWith("127.")
      : isIPv6(address) && groupsOf(address).join() === LOOPBACK;
    /** The address, or its network, as a text. Clients without a usable address count as one. */
    this.key = isIPv4(address) ? address : isIPv6(address) ? groupsOf(address).slice(0, NETWORK_GROUPS).join(":") : "";
  }
}

const LOOPBACK = "0,0,0,0,0,0,0,1";

/**
 * Return the address of the client behind so many web servers of ours.
 *
 * @param {import("node:http").IncomingMessage} request
 * @param {number} trustedProxies
 * @returns {ClientAddress}
 */
export function clientAddress(request, trustedProxies) {
  const peer = request.socket.remoteAddress ?? "";
  if (trustedProxies === 0) return new ClientAddress(peer);
  const header = request.headers["x-forwarded-for"];
  const named = header === undefined ? [] : [header].flat().join(",").split(",");
  const hops = [...named.map((each) => each.trim()), peer];
  return new ClientAddress(hops[Math.max(0, hops.length - 1 - trustedProxies)]);
}

/** Addresses from which somebody proved to have an agent, by a request or on a socket. */
export class KnownAddresses {
  #trustedProxies;
  /** @type {Set<string>} */
  #keys = new Set();

  /** @param {number} trustedProxies web servers of ours in front */
  constructor(trustedProxies) {
    this.#trustedProxies = trustedProxies;
  }

  /**
   * Remember the address of a client that has an agent.
   *
   * @param {import("node:http").IncomingMessage} request
   */
  note(request) {
    const { key } = clientAddress(request, this.#trustedProxies);
    this.#keys.delete(key);
    this.#keys.add(key);
    if (this.#keys.size > MAX_ADDRESSES) {
      const [oldest] = this.#keys;
      this.#keys.delete(oldest);
    }
  }

  /**
   * Return whether an agent has come from an address; clients on this machine always count as known.
   *
   * @param {ClientAddress} address
   * @returns {boolean}
   */
  has(address) {
    return address.isLocal || this.#keys.has(address.key);
  }
}

/**
 * @param {string} address an IPv6 address
 * @returns {number[]} its eight groups
 */
function groupsOf(address) {
  const canonical = new URL(`http://[${address.split("%", 1)[0]}]`).hostname.slice(1, -1);
  const [head, tail = ""] = canonical.split("::").map((half) => (half === "" ? [] : half.split(":")));
  const rest = [...tail];
  const zeros = canonical.includes("::") ? Array(8 - head.length - rest.length).fill("0") : [];
  return [...head, ...zeros, ...rest].map((group) => parseInt(group, 16));
}
