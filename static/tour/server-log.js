// @ts-check
/**
 * `<server-log data-log-url>`: asks every two seconds what the server did, and puts what is new on top of the lists. While
 * the page is hidden it asks nothing. All words are in the page; rows are clones of its templates.
 */

const EVERY = 2000;
const MOST = 8;

class ServerLog extends HTMLElement {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #asking = false;
  #visible = () => this.#ask();

  connectedCallback() {
    for (const time of this.querySelectorAll("li time")) localise(time);
    document.addEventListener("visibilitychange", this.#visible);
    this.#ask();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#visible);
    clearTimeout(this.#timer);
  }

  async #ask() {
    clearTimeout(this.#timer);
    if (document.hidden || this.#asking) return;
    this.#asking = true;
    const answer = await this.#fetch();
    this.#asking = false;
    if (answer) {
      this.#add("requests", "request-row", answer.requests);
      this.#add("events", "event-row", answer.events);
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

  /** @param {string} name @param {any} entry @returns {HTMLElement} */
  #row(name, entry) {
    const template = /** @type {HTMLTemplateElement} */ (this.#part(name));
    const row = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
    /** @param {string} part @param {string} text */
    const fill = (part, text) => { const found = row.querySelector(`[data-part="${part}"]`); if (found) found.textContent = text; };
    row.dataset.id = entry.id;
    fill("path", `${entry.method} ${entry.path}`);
    fill("status", String(entry.status));
    /** @type {HTMLElement | null} */ (row.querySelector("[data-kind]"))?.setAttribute("data-kind", String(entry.status)[0]);
    if ("round_trips" in entry) {
      const words = this.#phrase(entry.round_trips === 1 ? "one" : "many");
      fill("cost", words.replace("{n}", String(entry.round_trips)).replace("{ms}", String(entry.ms)));
    }
    fill("name", [entry.name, entry.more].filter(Boolean).join(" · "));
    fill("device", entry.device ?? "");
    for (const each of Array.isArray(entry.events) ? entry.events : []) {
      const event = document.createElement("code");
      event.className = "log__event";
      event.translate = false;
      event.textContent = each;
      row.querySelector('[data-part="events"]')?.append(event);
    }
    const time = row.querySelector("time");
    if (time) {
      time.dateTime = entry.at;
      localise(time);
    }
    return row;
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
