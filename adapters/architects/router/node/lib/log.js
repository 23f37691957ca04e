// @ts-check

/**
 * Write one line for whoever runs the process: a JSON object on stderr.
 *
 * Never give it a secret, an agent's token or anything that a worker wrote.
 *
 * @param {string} event what happened
 * @param {Record<string, unknown>} [facts]
 */
export function log(event, facts = {}) {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), event, ...facts })}\n`);
}
