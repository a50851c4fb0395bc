// @ts-check
/**
 * Ask the site's JSON endpoints, and keep "the server said no" apart from "nobody answered".
 * Only the first may ever sign a user out: a lost packet or a captive portal must not.
 */

/** How long to wait for an answer before calling the server unreachable. */
const PATIENCE_MS = 10_000;

/** The answer that moved a session to a new id reaches the browser at most this much later than ours. */
const MOVING_MS = 500;

/** The reasons that a request meets while the browser's cookie changes. */
const MOVING = new Set(["replaced", "rotated"]);

/** The codes with which the server says that this browser has no live session. */
const SIGNED_OUT_CODES = new Set([
  "no_token", "session_expired", "session_invalid", "session_ended_during_request",
  // Of a token that a proxy adds to each request: without a session cookie, that token is all there is.
  "token_expired", "token_invalid",
]);

/** A request that brought no data: refused by the server, or not answered at all. */
export class HttpError extends Error {
  /**
   * @param {string} code the server's code, or `network_error`, `timed_out`, `cancelled`, `unexpected_answer`
   * @param {{message?: string, status?: number, reason?: string | null, missing?: string, kind?: string,
   *          retryAfter?: number | null, requestId?: string | null, developers?: string}} [details]
   *   `missing` is what the session lacks and `kind` whether that is a permission, a role or a session type; `developers`
   *   is what the server tells those who run it, in development
   */
  constructor(code, details = {}) {
    const { message = code, status = 0, reason = null, retryAfter = null, requestId = null, developers = "" } = details;
    super(message);
    this.name = "HttpError";
    this.code = code;
    this.status = status;
    this.reason = reason;
    this.missing = details.missing ?? "";
    this.kind = details.kind ?? "";
    this.retryAfter = retryAfter;
    this.requestId = requestId;
    this.developers = developers;
  }

  /** True when the server itself, not a proxy on the way, said that there is no session. */
  get signedOut() {
    return this.status === 401 && SIGNED_OUT_CODES.has(this.code);
  }

  /** True when trying the same thing again later can help. */
  get unreachable() {
    return this.status === 0 || this.status >= 500 || this.code === "unexpected_answer";
  }
}

/**
 * @typedef {{method?: string, json?: unknown, csrf?: string, bearer?: string, cookies?: boolean,
 *            signal?: AbortSignal, patience?: number}} Options `bearer` is a token or a signature; without `cookies` none goes
 *   along, as a page of another origin must not send any
 */

/**
 * @param {string} url
 * @param {Options} [options]
 * @returns {Promise<any>} the envelope's `data`
 * @throws {HttpError} always this class, whatever went wrong
 */
export async function request(url, options = {}) {
  try {
    return await ask(url, options);
  } catch (error) {
    if (!(error instanceof HttpError && error.signedOut && MOVING.has(error.reason ?? ""))) throw error;
    // Another tab has just moved to a new session or a new id, and its cookie is still on the way. Nothing was done.
    await new Promise((resolve) => { setTimeout(resolve, MOVING_MS); });
    return ask(url, options);
  }
}

/** @param {string} url @param {Options} options */
async function ask(url, { method = "GET", json, csrf, bearer, cookies = true, signal, patience = PATIENCE_MS }) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  if (csrf) headers["X-CSRFToken"] = csrf;
  if (bearer) headers.Authorization = `Bearer ${bearer}`;

  const abort = new AbortController();
  const cancel = () => abort.abort();
  let timedOut = false;
  const timer = setTimeout(() => { timedOut = true; abort.abort(); }, patience);
  signal?.addEventListener("abort", cancel, { once: true });
  if (signal?.aborted) cancel();

  try {
    const response = await fetch(url, {
      method,
      headers,
      body: json === undefined ? undefined : JSON.stringify(json),
      credentials: cookies ? "same-origin" : "omit",
      cache: "no-store",
      redirect: "error",
      signal: abort.signal,
    });
    return await open(response);
  } catch (error) {
    if (error instanceof HttpError) throw error;
    throw new HttpError(timedOut ? "timed_out" : signal?.aborted ? "cancelled" : "network_error");
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", cancel);
  }
}

/** @param {Response} response */
async function open(response) {
  const { status } = response;
  const retryAfter = seconds(response.headers.get("Retry-After"));
  const text = await response.text();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    throw new HttpError("unexpected_answer", { status, retryAfter });
  }
  if (response.ok && body?.success === true) return body.data;
  const { code, message, reason, missing, kind, request_id: requestId, cause: developers } = body?.error ?? {};
  if (typeof code !== "string") throw new HttpError("unexpected_answer", { status, retryAfter });
  throw new HttpError(code, { message, status, reason, missing, kind, retryAfter, requestId, developers });
}

/** @param {string | null} value a Retry-After header in its seconds form */
function seconds(value) {
  return value !== null && /^\d{1,6}$/.test(value) ? Number(value) : null;
}
