// @ts-check
/** The attempts of `<wallet-sign-in>`, one at a time, and what becomes of one that fails. */
import { UnexpectedMessage } from "../../lib/challenge.js";
import { HttpError } from "../../lib/http.js";
import { visit } from "../../page/fragment.js";
import { explain } from "../../wallets/answers.js";
import { MAX_SAID, quoted } from "../../wallets/words.js";
import { CONNECT_FAILURES, afterRefusal } from "./states.js";

export const DEFAULT_RETRY_SECONDS = 60;

export class Attempts {
  /** Aborting it makes every answer that is still to come a stranger's. */
  #running = new AbortController();
  #panel;
  #view;
  #connection;
  #states;

  /**
   * @param {HTMLElement} panel @param {import("./view.js").SignInView} view
   * @param {import("./connection.js").Connection} connection @param {import("./states.js").PanelStates} states
   */
  constructor(panel, view, connection, states) {
    this.#panel = panel;
    this.#view = view;
    this.#connection = connection;
    this.#states = states;
  }

  /**
   * Run one attempt. It ends the one before: what that one is still told is ignored.
   * @param {(signal: AbortSignal) => Promise<void>} work
   * @param {import("./states.js").Failures} [failures]
   */
  run(work, failures = CONNECT_FAILURES) {
    this.abort();
    const running = (this.#running = new AbortController());
    work(running.signal).catch((error) => {
      if (!running.signal.aborted) this.#failed(error, failures);
    });
  }

  abort() {
    this.#running.abort();
  }

  /** @param {unknown} error @param {import("./states.js").Failures} failures */
  #failed(error, failures) {
    if (error instanceof HttpError) return this.#serverRefused(error);
    if (error instanceof UnexpectedMessage) {
      return this.#view.show(error.elsewhere ? "domain_mismatch" : "text_changed", { technical: [error.message] });
    }
    const refusal = explain(error, new Map());
    const next = failures[refusal.kind];
    if (this.#states.is(next, "unconnected")) this.#connection.disconnect({ keepWallet: true });
    this.#view.show(next, { technical: [refusal.code, quoted(refusal.message, MAX_SAID)] });
  }

  /** @param {HttpError} error */
  #serverRefused(error) {
    const { purpose, refusedUrl } = this.#panel.dataset;
    // A kind of session that this account may not have: that page says how to get it.
    if (error.code === "permission_denied" && refusedUrl) return visit(refusedUrl);
    const technical = [error.code, error.status || "", error.requestId ?? "", error.developers];
    const state = afterRefusal(error, purpose === "link", this.#states);
    if (this.#states.is(state, "another-account")) this.#connection.disconnect({ keepWallet: true });
    if (state === "wrong_network") {
      this.#connection.chain = "";
      this.#view.part("chain-number").hidden = true;
    }
    this.#view.show(state, { technical, retryAfter: error.retryAfter ?? DEFAULT_RETRY_SECONDS });
    if (error.developers) this.#view.part("technical").setAttribute("open", "");
  }
}
