// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { RefusalError } from "../lib/errors.js";
import { BodyPool, Resource, poolLimits } from "../lib/http/body_pool.js";
import { ClientAddress, KnownAddresses } from "../lib/http/client_address.js";
import { Throttle } from "../lib/http/throttle.js";

const MEBIBYTE = 2 ** 20;
const LOCAL = new ClientAddress("127.0.0.1");
const LIMITS = poolLimits(/** @type {any} */ ({ maxBodyBytes: 10 * MEBIBYTE, maxUploadBytes: MEBIBYTE }));
const NEVER = /** @type {Promise<never>} */ (new Promise(() => {}));

test("a body that gave way holds nothing any more", () => {
  let now = 0;
  const pool = new BodyPool({ limits: LIMITS, known: new KnownAddresses(0), onFull: () => {}, monotonic: () => now });
  const slow = pool.open(LOCAL, () => {});
  slow.hold(Resource.DISK, MEBIBYTE);
  now = 1;
  const newest = pool.open(LOCAL, () => {});
  newest.hold(Resource.DISK, 2 * MEBIBYTE);
  pool.close(newest);
  assert.ok(slow.isEvicted);
  assert.throws(() => slow.hold(Resource.DISK, MEBIBYTE), RefusalError);
  pool.close(slow);
  pool.open(LOCAL, () => {}).hold(Resource.DISK, 2 * MEBIBYTE);
});

test("a body that gives way does not wait until it has its turn", async () => {
  let now = 0;
  const known = new KnownAddresses(0);
  const pool = new BodyPool({ limits: LIMITS, known, onFull: () => {}, monotonic: () => now });
  const [first, ...others] = Array.from({ length: 101 }, (_, i) =>
    pool.open(new ClientAddress(`192.0.2.${i}`), () => {}),
  );
  first?.receive(MEBIBYTE);
  await first?.throttle(3 * MEBIBYTE);
  const waiting = others.slice(0, 99).map((body) => body.throttle(MEBIBYTE));
  for (const wait of waiting) wait.catch(() => {});
  now = 1;
  others[99]?.throttle(MEBIBYTE).catch(() => {});
  // The slowest is one of those of which nothing has arrived.
  await assert.rejects(Promise.race(waiting), RefusalError);
  for (const body of others) body.evict();
  await Promise.allSettled(waiting);
});

test("who gives up takes nothing", async () => {
  let now = 0;
  const throttle = new Throttle(() => now);
  await throttle.take(2 * MEBIBYTE, NEVER);
  await assert.rejects(throttle.take(100 * MEBIBYTE, Promise.reject(new Error("gone"))), /gone/);
  now = 1;
  await throttle.take(1, NEVER);
});
