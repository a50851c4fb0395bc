// @ts-check
/**
 * What our scripts keep in localStorage and sessionStorage goes when the account of this browser changes, and when a
 * session is found to be over: at once, or on the next page if its tab was closed meanwhile. The application's own
 * keys are the application's: it hears of both on `document`.
 *
 *     sessions:ended             the server says that the session is over
 *     sessions:account-changed   this page is another account's than the one before, in this browser or this tab
 *
 * Which account it was is noted in both storages, by a tag that names nobody: another tab may sign in as somebody else
 * while this one still has the first one's sessionStorage.
 */
import { HttpError, request } from "../lib/http.js";

const PREFIX = "wallet-session";
const ACCOUNT = "wallet-session-account";

/** @typedef {"sessions:ended" | "sessions:account-changed"} Happened */

/** @returns {Storage[]} none where storage is off */
function storages() {
  try {
    return [localStorage, sessionStorage];
  } catch {
    return [];
  }
}

/** @param {(key: string) => boolean} goes */
function remove(goes) {
  for (const storage of storages()) {
    const keys = Array.from({ length: storage.length }, (_, at) => storage.key(at) ?? "");
    for (const key of keys) if (key.startsWith(PREFIX) && goes(key)) storage.removeItem(key);
  }
}

/** @param {Happened} what */
function tell(what) {
  document.dispatchEvent(new Event(what));
}

/**
 * The session of this page is over. The note of its account stays: the next page looks again, with the scripts that
 * the application has there.
 */
export function sessionEnded() {
  remove((key) => key !== ACCOUNT);
  tell("sessions:ended");
}

/** @param {string} account the tag of this page's account, or "" */
async function look(account) {
  const before = storages().map((storage) => storage.getItem(ACCOUNT)).filter((tag) => tag !== null);
  if (account) {
    const changed = before.some((tag) => tag !== account);
    if (changed) remove(() => true);
    for (const storage of storages()) keep(storage, account);
    if (changed) tell("sessions:account-changed");
  } else if (before.length && await over()) {
    remove(() => true);
    tell("sessions:ended");
  }
}

/** @param {Storage} storage @param {string} account */
function keep(storage, account) {
  try {
    if (storage.getItem(ACCOUNT) !== account) storage.setItem(ACCOUNT, account);
  } catch {
    // Full: the next page that has room notes it.
  }
}

/**
 * A page without a session is no proof that there is none: a link from another site may come without the cookie.
 */
async function over() {
  try {
    await request(document.documentElement.dataset.validateUrl ?? "");
    return false;
  } catch (error) {
    return error instanceof HttpError && error.signedOut;
  }
}

// Not before the application's scripts are there to hear it.
document.addEventListener("DOMContentLoaded", () => look(document.documentElement.dataset.sessionAccount ?? ""));
