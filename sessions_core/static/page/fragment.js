// @ts-check
/**
 * The place in a page that somebody came for, `#part2`, comes back after signing in. It never reaches the server:
 * browsers carry it through redirects by themselves, also through those that answer a form. Links and forms with
 * `data-keep-fragment`, and scripts that lead on, take it along.
 */

/** @param {URL | HTMLAnchorElement} target that is given the fragment of this page, unless it has one */
export function keepFragment(target) {
  if (!target.hash) target.hash = location.hash;
}

/** Load a page of this site in the place of this one, or this one again. @param {string} href */
export function visit(href) {
  const url = new URL(href, location.href);
  keepFragment(url);
  // An address that differs in nothing, and has a fragment, only scrolls. Without a query this page may be the answer to
  // a form, which the browser would offer to send again.
  if (location.hash && location.search && url.href === location.href) location.reload();
  else location.replace(url);
}

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a[data-keep-fragment]") : null;
  if (!(link instanceof HTMLAnchorElement)) return;
  keepFragment(link);
  if (link.href !== location.href) return;
  event.preventDefault();
  visit(link.href);
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!(form instanceof HTMLFormElement && form.matches("[data-keep-fragment]"))) return;
  // Not by its property: a field of the form may have that name.
  const url = new URL(form.getAttribute("action") ?? "", location.href);
  url.hash = location.hash;
  form.setAttribute("action", url.href);
});
