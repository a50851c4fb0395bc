// @ts-check
/**
 * Says, on pages that look for wallets, that the browser kept something out: some wallets add an inline script or their
 * styles to every page, in Firefox above all, and the site's Content Security Policy allows only the site's own files.
 * Then the wallet can't be found or can't be seen, and "Install one" would be the wrong advice.
 *
 * What was kept out before this script ran, only some browsers tell afterwards; the page has a sentence for the others.
 */

const KEPT_OUT = /^(script-src|style-src|require-trusted-types-for)/;

/** @param {string} directive the part of the policy that was not met */
function tell(directive) {
  if (!KEPT_OUT.test(directive)) return;
  for (const [name, hidden] of /** @type {[string, boolean][]} */ ([["blocked", false], ["unblocked", true]])) {
    for (const each of document.querySelectorAll(`[data-part="${name}"]`)) each.toggleAttribute("hidden", hidden);
  }
}

document.addEventListener("securitypolicyviolation", (event) => {
  if (event.isTrusted) tell(event.effectiveDirective);
});
if ("ReportingObserver" in window) {
  const told = (/** @type {any[]} */ reports) => {
    for (const { body } of reports) tell(String(body?.effectiveDirective));
  };
  new ReportingObserver(told, { types: ["csp-violation"], buffered: true }).observe();
}
