// @ts-check
/**
 * Shares memory, disk and places among the request bodies that are arriving.
 *
 * Anybody may send a body and stop in the middle of it, a thousand times. So what unfinished bodies hold is limited, for
 * each address and in total. When a total is reached, the slowest body gives way: an honest one is soon complete. What is
 * large and comes from where nobody is known is throttled.
 */
import { RefusalError } from "../errors.js";
import { FREE_BYTES, MAX_BODIES, Throttle } from "./throttle.js";

/** A body that has just begun does not give way: its speed is not known yet. */
const MIN_AGE_SECONDS = 0.25;

/** Memory for all bodies; more if a body may be very large. */
const MEMORY_BYTES = 40 * 1024 * 1024;

/** Number of forms that are received at the same time. */
const MAX_FORMS = 100;

/**
 * Something that unfinished bodies hold: memory, disk (for files of forms that have not named a known agent yet), one of
 * the places for forms, or one of those for bodies that are throttled. The value is a short name for the counters.
 *
 * @typedef {"body_memory" | "upload_disk" | "concurrent_forms" | "throttled_bodies"} ResourceName
 */

export const Resource = Object.freeze({
  MEMORY: /** @type {const} */ ("body_memory"),
  DISK: /** @type {const} */ ("upload_disk"),
  FORM: /** @type {const} */ ("concurrent_forms"),
  THROTTLED: /** @type {const} */ ("throttled_bodies"),
});

/**
 * Limit of one resource.
 *
 * @typedef {object} PoolLimit
 * @property {number} total
 * @property {number} perAddress of clients at one address; those on this machine are exempt
 */

/** @typedef {import("./client_address.js").ClientAddress} ClientAddress */

/**
 * Return the limit of each resource: a body of the largest size always fits, several of a usual one do, too.
 *
 * @param {import("../settings.js").RouterSettings} settings
 * @returns {Record<ResourceName, PoolLimit>}
 */
export function poolLimits({ maxBodyBytes, maxUploadBytes }) {
  const memory = Math.max(MEMORY_BYTES, 4 * maxBodyBytes);
  return {
    [Resource.MEMORY]: { total: memory, perAddress: Math.floor(memory / 2) },
    [Resource.DISK]: { total: 2 * maxUploadBytes, perAddress: maxUploadBytes },
    [Resource.FORM]: { total: MAX_FORMS, perAddress: Math.floor(MAX_FORMS / 4) },
    [Resource.THROTTLED]: { total: MAX_BODIES, perAddress: Math.floor(MAX_BODIES / 4) },
  };
}

/** One unfinished body. Made by `BodyPool.open`; whoever opens it closes it, which frees all that it holds. */
export class PooledBody {
  /** @type {Map<ResourceName, number>} what it holds of each resource */
  held = new Map();
  /** True once it had to give way. */
  isEvicted = false;
  #pool;
  #onEvicted;
  #began;
  #receivedBytes = 0;
  #throttle;
  #handledBytes = 0;
  /** @type {(reason: Error) => void} ends the wait of a body that is throttled */
  #giveUp = () => {};

  /**
   * @param {BodyPool} pool
   * @param {ClientAddress} address
   * @param {() => void} onEvicted
   * @param {number} now
   * @param {Throttle | null} throttle null if its sender is known
   */
  constructor(pool, address, onEvicted, now, throttle) {
    this.address = address;
    this.#pool = pool;
    this.#onEvicted = onEvicted;
    this.#began = now;
    this.#throttle = throttle;
  }

  /**
   * Count bytes that have arrived.
   *
   * @param {number} sizeBytes
   */
  receive(sizeBytes) {
    this.#receivedBytes += sizeBytes;
  }

  /**
   * Set how much it holds of a resource.
   *
   * @param {ResourceName} resource
   * @param {number} amount
   * @throws {RefusalError} there is no room for that, or it had to give way
   */
  hold(resource, amount) {
    // Work on it may go on for a moment. What it held then would never be freed.
    if (this.isEvicted) throw busy();
    this.#pool.reserve(this, resource, amount);
  }

  /** True if its sender is known, so that it is not throttled. */
  get isTrusted() {
    return this.#throttle === null;
  }

  /**
   * Wait until bytes of it, or work that takes as long, may be handled; no time unless it is a stranger's.
   *
   * @param {number} sizeBytes
   * @returns {Promise<void>}
   * @throws {RefusalError} too many bodies are throttled, or it has to give way
   */
  async throttle(sizeBytes) {
    this.#handledBytes += sizeBytes;
    if (this.#throttle === null || this.#handledBytes <= FREE_BYTES) return;
    this.hold(Resource.THROTTLED, 1);
    await this.#throttle.take(sizeBytes, new Promise((_, reject) => (this.#giveUp = reject)));
  }

  /** Note that its sender turned out to be known. */
  trust() {
    this.#throttle = null;
    this.hold(Resource.THROTTLED, 0);
  }

  /**
   * Return the seconds since it began.
   *
   * @param {number} now
   */
  age(now) {
    return now - this.#began;
  }

  /**
   * Return the bytes that have arrived in a second, on average.
   *
   * @param {number} now
   */
  speed(now) {
    return this.#receivedBytes / Math.max(this.age(now), MIN_AGE_SECONDS);
  }

  /** Make it give way. */
  evict() {
    this.isEvicted = true;
    this.#giveUp(busy());
    this.#onEvicted();
  }
}

/** All bodies that are arriving. */
export class BodyPool {
  #limits;
  #known;
  #onFull;
  #monotonic;
  #throttle;
  /** @type {Set<PooledBody>} */
  #bodies = new Set();
  /** @type {Map<ResourceName, number>} */
  #totals = new Map();
  /** @type {Map<string, number>} */
  #byAddress = new Map();

  /**
   * @param {object} parts
   * @param {Record<ResourceName, PoolLimit>} parts.limits the limit of each resource
   * @param {import("./client_address.js").KnownAddresses} parts.known the addresses whose bodies are not throttled
   * @param {(resource: ResourceName) => void} parts.onFull called with a resource for each body that gives way or is
   *   refused
   * @param {() => number} parts.monotonic returns seconds since any fixed moment
   */
  constructor({ limits, known, onFull, monotonic }) {
    this.#limits = limits;
    this.#known = known;
    this.#throttle = new Throttle(monotonic);
    this.#onFull = onFull;
    this.#monotonic = monotonic;
  }

  /**
   * Add a body that begins to arrive.
   *
   * @param {ClientAddress} address who sends it
   * @param {() => void} onEvicted called if it has to give way
   * @returns {PooledBody}
   */
  open(address, onEvicted) {
    const throttle = this.#known.has(address) ? null : this.#throttle;
    const body = new PooledBody(this, address, onEvicted, this.#monotonic(), throttle);
    this.#bodies.add(body);
    return body;
  }

  /**
   * Free all that a body holds.
   *
   * @param {PooledBody} body
   */
  close(body) {
    if (!this.#bodies.delete(body)) return;
    for (const [resource, amount] of body.held) this.#add(body, resource, -amount);
    body.held.clear();
  }

  /**
   * Set how much a body holds of a resource; slower ones give way if there is no room.
   *
   * @param {PooledBody} body
   * @param {ResourceName} resource
   * @param {number} amount
   * @throws {RefusalError} its address holds too much, or there is no room
   */
  reserve(body, resource, amount) {
    const more = amount - (body.held.get(resource) ?? 0);
    const { total, perAddress } = this.#limits[resource];
    const share = this.#byAddress.get(`${resource} ${body.address.key}`) ?? 0;
    if (more > 0 && !body.address.isLocal && share + more > perAddress) throw this.#full(resource);
    if (more > 0) this.#makeRoom(body, resource, total - more);
    this.#add(body, resource, more);
    body.held.set(resource, amount);
  }

  /**
   * @param {PooledBody} newest
   * @param {ResourceName} resource
   * @param {number} rest how much may be held before it
   */
  #makeRoom(newest, resource, rest) {
    while ((this.#totals.get(resource) ?? 0) > rest) {
      const slowest = this.#slowest(resource, newest);
      if (slowest === null) throw this.#full(resource);
      this.#onFull(resource);
      this.close(slowest);
      slowest.evict();
    }
  }

  /**
   * @param {ResourceName} resource
   * @param {PooledBody} newest
   * @returns {PooledBody | null}
   */
  #slowest(resource, newest) {
    const now = this.#monotonic();
    /** @type {PooledBody | null} */
    let slowest = null;
    for (const body of this.#bodies) {
      const mayGiveWay = body !== newest && body.held.get(resource) && body.age(now) >= MIN_AGE_SECONDS;
      if (mayGiveWay && (slowest === null || body.speed(now) < slowest.speed(now))) slowest = body;
    }
    return slowest;
  }

  /**
   * @param {ResourceName} resource
   * @returns {RefusalError}
   */
  #full(resource) {
    this.#onFull(resource);
    return busy();
  }

  /**
   * @param {PooledBody} body
   * @param {ResourceName} resource
   * @param {number} amount
   */
  #add(body, resource, amount) {
    this.#totals.set(resource, (this.#totals.get(resource) ?? 0) + amount);
    const key = `${resource} ${body.address.key}`;
    const share = (this.#byAddress.get(key) ?? 0) + amount;
    if (share === 0) this.#byAddress.delete(key);
    else this.#byAddress.set(key, share);
  }
}

/** Make the refusal of a body for which there is no room. */
export function busy() {
  return new RefusalError(503, "The task server receives too much at the moment. Please try again in a minute.");
}
