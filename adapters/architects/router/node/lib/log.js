// @ts-check
/**
 * Writes the router's log: one JSON object a line on stderr.
 *
 * Nothing secret belongs here, no agent's token, and nothing that a worker wrote.
 */

/**
 * Write one line for whoever runs the process.
 *
 * @param {string} event what happened, a short fixed name
 * @param {Record<string, unknown>} [facts] what else is worth knowing
 */
export function log(event, facts = {}) {
  process.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), event, ...facts })}\n`);
}
