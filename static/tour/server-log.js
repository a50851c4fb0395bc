// @ts-check
/**
 * `<server-log data-log-url>`: a drawer that asks every two seconds what the server did, and puts what is new on top of
 * its lists. It asks nothing while the page is hidden, or while it is closed and shows no last request. All words are in
 * the page and in the answer; rows are clones of the page's templates.
 */

const EVERY = 2000;
const MOST = 8;
const OPEN = "tour-log-open";

class ServerLog extends HTMLElement {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #asking = false;
  #visible = () => this.#ask();

  connectedCallback() {
    for (const time of this.querySelectorAll("li time")) localise(time);
    const drawer = /** @type {HTMLDetailsElement} */ (this.#part("drawer"));
    drawer.open = remembered();
    drawer.addEventListener("toggle", () => {
      remember(drawer.open);
      this.#ask();
    });
    document.addEventListener("visibilitychange", this.#visible);
    this.#ask();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#visible);
    clearTimeout(this.#timer);
  }

  async #ask() {
    clearTimeout(this.#timer);
    const drawer = /** @type {HTMLDetailsElement} */ (this.#part("drawer"));
    if (document.hidden || this.#asking || !(drawer.open || this.#part("last"))) return;
    this.#asking = true;
    const answer = await this.#fetch();
    this.#asking = false;
    if (answer) {
      this.#add("requests", "request-row", answer.requests);
      this.#add("events", "event-row", answer.events);
      this.#last(answer.requests[0]);
    }
    this.#part("live").hidden = !answer;
    say(this.#part("trouble"), answer ? "" : this.#phrase("trouble"));
    if (this.isConnected) this.#timer = setTimeout(() => this.#ask(), EVERY);
  }

  /** @returns {Promise<{ requests: any[], events: any[] } | undefined>} */
  async #fetch() {
    try {
      const answer = await fetch(this.dataset.logUrl ?? "", { headers: { Accept: "application/json" } });
      return answer.ok ? await answer.json() : undefined;
    } catch {
      return undefined;
    }
  }

  /** @param {string} list @param {string} template @param {any[]} entries newest first */
  #add(list, template, entries) {
    const rows = this.querySelector(`ol[data-part="${list}"]`);
    if (!rows) return;
    const shown = new Set(Array.from(rows.children, (row) => /** @type {HTMLElement} */ (row).dataset.id));
    for (const entry of entries.slice(0, MOST).reverse()) {
      if (!shown.has(entry.id)) rows.prepend(this.#row(template, entry));
    }
    while (rows.children.length > MOST) rows.lastElementChild?.remove();
    this.#part(`no-${list}`).hidden = rows.children.length > 0;
  }

  /** The closed drawer shows the latest request. @param {any} entry */
  #last(entry) {
    const last = this.#part("last");
    if (!last || !entry || last.dataset.id === entry.id) return;
    const template = /** @type {HTMLTemplateElement} */ (this.#part("last-row"));
    last.replaceChildren(template.content.cloneNode(true));
    last.dataset.id = entry.id;
    this.#fill(last, entry);
  }

  /** @param {string} name @param {any} entry @returns {HTMLElement} */
  #row(name, entry) {
    const template = /** @type {HTMLTemplateElement} */ (this.#part(name));
    const row = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
    row.dataset.id = entry.id;
    this.#fill(row, entry);
    return row;
  }

  /** @param {HTMLElement} row @param {any} entry */
  #fill(row, entry) {
    /** @param {string} part @param {string} text */
    const fill = (part, text) => {
      const found = row.querySelector(`[data-part="${part}"]`);
      if (found) found.textContent = text;
    };
    fill("path", `${entry.method} ${entry.path}`);
    fill("status", String(entry.status));
    row.querySelector("[data-kind]")?.setAttribute("data-kind", String(entry.status)[0]);
    fill("cost", entry.cost ?? "");
    fill("name", [entry.name, entry.more].filter(Boolean).join(" · "));
    fill("device", entry.device ?? "");
    for (const each of Array.isArray(entry.events) ? entry.events : []) {
      const event = document.createElement("code");
      event.className = "log__event";
      event.translate = false;
      event.dir = "ltr";
      event.textContent = each;
      row.querySelector('[data-part="events"]')?.append(event);
    }
    const time = row.querySelector("time");
    if (time) {
      time.dateTime = entry.at;
      localise(time);
    }
  }

  /** @param {string} name @returns {HTMLElement} */
  #part(name) {
    return /** @type {HTMLElement} */ (this.querySelector(`[data-part="${name}"]`));
  }

  /** @param {string} name */
  #phrase(name) {
    const template = /** @type {HTMLTemplateElement | null} */ (this.querySelector(`template[data-phrase="${name}"]`));
    return template?.content.textContent?.trim() ?? "";
  }
}

/** Whether the drawer was open on the page before, in this tab. */
function remembered() {
  try {
    return sessionStorage.getItem(OPEN) !== null;
  } catch {
    return false; // storage is switched off
  }
}

/** @param {boolean} open */
function remember(open) {
  try {
    if (open) sessionStorage.setItem(OPEN, "1");
    else sessionStorage.removeItem(OPEN);
  } catch {
    // Storage is switched off, so the next page begins with a closed drawer.
  }
}

/** @param {Element} time its moment in the reader's own time */
function localise(time) {
  const at = new Date(time.getAttribute("datetime") ?? "");
  if (Number.isNaN(at.getTime())) return;
  time.textContent = at.toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}

/** Writing the same words again would have a screen reader read them out again. @param {Element} element @param {string} text */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

customElements.define("server-log", ServerLog);
