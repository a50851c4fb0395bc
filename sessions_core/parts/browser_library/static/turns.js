// @ts-check
/**
 * One after the other, in all tabs of this browser (Web Locks), or in this one where a browser has no locks.
 *
 * The module touches no DOM.
 */

/** @type {Map<string, Promise<unknown>>} */
const turns = new Map();

/**
 * @template T
 * @param {string} name what is done one after the other
 * @param {(waited: boolean) => Promise<T>} run `waited` says that something else had this turn before
 * @param {{shared?: boolean}} [options] without `shared` only this tab takes turns
 * @returns {Promise<T>}
 */
export async function alone(name, run, { shared = true } = {}) {
  if (!shared || !navigator.locks) return queued(name, run);
  /** @type {{value: T} | null} */
  const first = await navigator.locks.request(name, { ifAvailable: true }, async (lock) =>
    lock && { value: await run(false) });
  return first ? first.value : navigator.locks.request(name, () => run(true));
}

/** @template T @param {string} name @param {(waited: boolean) => Promise<T>} run @returns {Promise<T>} */
function queued(name, run) {
  const before = turns.get(name);
  const turn = before ? before.then(() => run(true)) : run(false);
  const done = turn.then(() => {}, () => {});
  turns.set(name, done);
  done.then(() => { if (turns.get(name) === done) turns.delete(name); });
  return turn;
}
