// @ts-check
/**
 * Which of the two warnings the moment calls for, by the clock of this tab, and whether the user has answered it.
 */
import { sessionClock as clock } from "../../lib/clock.js";
import { readStored, writeStored } from "../../lib/storage.js";

/** Two ends closer than this are one: the idle clock has met the absolute one. */
const SAME_END_MS = 1_000;
/** Holds which absolute end the user has chosen to wait for, so that the next page does not ask again. */
const ACKNOWLEDGED = "wallet-session-acknowledged";

/** @typedef {"warning" | "absolute"} Warning before the idle end, and before the one that no activity can move */

export class Deadline {
  #settings;
  #acknowledged = readStored("sessionStorage", ACKNOWLEDGED) ?? "";

  /** @param {DOMStringMap} settings `warnSeconds` and `absoluteWarnSeconds`, before the two ends */
  constructor(settings) {
    this.#settings = settings;
  }

  /** @returns {Warning | null} the warning whose time has come */
  get due() {
    const idle = clock.idleLeft();
    const absolute = clock.absoluteLeft();
    if (idle <= this.#milliseconds("warnSeconds") && idle < absolute - SAME_END_MS) return "warning";
    return absolute <= this.#milliseconds("absoluteWarnSeconds") ? "absolute" : null;
  }

  /** The same, without what the user has already answered. */
  get wanted() {
    const due = this.due;
    return due === "absolute" && this.#acknowledged === clock.absoluteEnd?.toISOString() ? null : due;
  }

  /** How long before its end the warning begins that is due, in milliseconds. */
  get lead() {
    return this.#milliseconds(this.due === "absolute" ? "absoluteWarnSeconds" : "warnSeconds");
  }

  /** The user waits for this absolute end. */
  acknowledge() {
    this.#acknowledged = clock.absoluteEnd?.toISOString() ?? "";
    writeStored("sessionStorage", ACKNOWLEDGED, this.#acknowledged);
  }

  /** Whether the idle end lies clearly behind another one. @param {number} before a time of the wall clock */
  movedFrom(before) {
    return (clock.idleEnd?.getTime() ?? 0) > before + SAME_END_MS;
  }

  /** @param {"warnSeconds" | "absoluteWarnSeconds"} name */
  #milliseconds(name) {
    return Number(this.#settings[name]) * 1000;
  }
}
