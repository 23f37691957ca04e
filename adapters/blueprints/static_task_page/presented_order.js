// @ts-check
/** Puts things in an order that is random for each worker and unit, but the same whenever the page is loaded again. */

/**
 * @param {any[]} values
 * @param {string} seed  for instance the agent's id, which nobody can guess, and the field's name
 * @returns {any[]} the values in another order
 */
export function shuffled(values, seed) {
  const random = generator(hash(seed));
  const order = [...values];
  for (let last = order.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

/**
 * FNV-1a, of 32 bits.
 *
 * @param {string} text
 */
function hash(text) {
  let value = 0x811c9dc5;
  for (let position = 0; position < text.length; position += 1) {
    value = Math.imul(value ^ text.charCodeAt(position), 0x01000193);
  }
  return value >>> 0;
}

/**
 * Mulberry32: small, and even enough for orders.
 *
 * @param {number} seed
 * @returns {() => number} gives numbers from 0 to 1, without 1
 */
function generator(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}
