// @ts-check
/**
 * When the session ends, as this tab knows it: two deadlines on the monotonic clock, set from what the server said.
 * The wall clock of the device is never asked how late it is, and no variable is counted down: both drift, and a
 * laptop that slept would be wrong by the length of its sleep.
 */

/** A longer delay overflows setTimeout's 32 bits and would fire at once. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;
/** The monotonic clock of some systems stops during sleep: the wall clock then runs ahead of it by more than this. */
const DRIFT_MS = 5_000;

/**
 * @typedef {object} Ends
 * @property {string} now the server's time when it answered, ISO 8601
 * @property {string} idle_expires_at
 * @property {string} absolute_expires_at
 */

/**
 * `setTimeout` for any length of time.
 * @param {number} ms
 * @param {() => void} run may run early for an enormous `ms`: look at the deadline again
 */
export function after(ms, run) {
  return setTimeout(run, Math.min(Math.max(ms, 0), LONGEST_DELAY_MS));
}

/**
 * A function that runs `run` at most once in `ms`, however often it is called: at once, or when that has passed.
 * @param {number} ms @param {() => void} run @returns {() => void}
 */
export function rarely(ms, run) {
  let ranAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return () => {
    timer ??= after(ranAt + ms - performance.now(), () => {
      timer = undefined;
      ranAt = performance.now();
      run();
    });
  };
}

/**
 * Fires `read` when the server's word arrived, `tick` each second, and `drift` when the device seems to have slept.
 */
export class SessionClock extends EventTarget {
  #monotonic;
  #wall;
  #idleDeadline = Infinity;
  #absoluteDeadline = Infinity;
  #offset = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** The instants to print, by the server's clock. @type {Date | null} */
  idleEnd = null;
  /** @type {Date | null} */
  absoluteEnd = null;

  /** @param {{monotonic?: () => number, wall?: () => number}} [sources] tests bring their own time */
  constructor({ monotonic = () => performance.now(), wall = () => Date.now() } = {}) {
    super();
    this.#monotonic = monotonic;
    this.#wall = wall;
  }

  get known() {
    return this.idleEnd !== null;
  }

  /**
   * @param {Ends} ends
   * @param {number} [at] the monotonic time for which `ends.now` holds
   * @returns {boolean} false when `ends` can't be read; nothing changes then
   */
  read(ends, at = this.#monotonic()) {
    const [now, idle, absolute] = [ends.now, ends.idle_expires_at, ends.absolute_expires_at].map(Date.parse);
    if (![now, idle, absolute].every(Number.isFinite)) return false;
    this.#idleDeadline = at + idle - now;
    this.#absoluteDeadline = at + absolute - now;
    this.idleEnd = new Date(idle);
    this.absoluteEnd = new Date(absolute);
    this.#offset = this.#wall() - this.#monotonic();
    this.dispatchEvent(new Event("read"));
    this.#tick();
    return true;
  }

  /** Milliseconds until the end for want of activity; negative once it has passed. */
  idleLeft() {
    return this.#idleDeadline - this.#monotonic();
  }

  /** Milliseconds until the end that no activity can move. */
  absoluteLeft() {
    return this.#absoluteDeadline - this.#monotonic();
  }

  /** Milliseconds until whichever end comes first. */
  left() {
    return Math.min(this.idleLeft(), this.absoluteLeft());
  }

  /** The server's time, carried forward. */
  now() {
    return new Date((this.idleEnd?.getTime() ?? NaN) - this.idleLeft());
  }

  /** Tick no more until the next `read`. */
  stop() {
    clearTimeout(this.#timer);
  }

  #tick() {
    clearTimeout(this.#timer);
    this.dispatchEvent(new Event("tick"));
    const offset = this.#wall() - this.#monotonic();
    if (Math.abs(offset - this.#offset) > DRIFT_MS) {
      this.#offset = offset;
      this.dispatchEvent(new Event("drift"));
    }
    // On the second of the deadline, so that what is shown changes when it becomes true.
    const left = this.left();
    this.#timer = after(left > 0 ? (left % 1000) + 5 : 1000, () => this.#tick());
  }
}

/** The one clock of this tab; session-timeout feeds it, every element reads it. */
export const sessionClock = new SessionClock();
