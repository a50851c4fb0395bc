// @ts-check
/**
 * Finds out whether the browser keeps the cookies that sign-in needs, before anybody is asked to sign. It does not where
 * people block them, and Safari keeps no Secure ones over plain http, not even on localhost.
 */

/**
 * @param {boolean} secure whether the site's own cookies are Secure
 * @returns {boolean}
 */
export function keepsCookies(secure) {
  // As the site's own are, so that what refuses those refuses this.
  const name = secure ? "__Host-check" : "check";
  const attributes = `Path=/; SameSite=Lax${secure ? "; Secure" : ""}`;
  try {
    document.cookie = `${name}=1; ${attributes}`;
    const kept = document.cookie.split("; ").includes(`${name}=1`);
    document.cookie = `${name}=; Max-Age=0; ${attributes}`;
    return kept;
  } catch {
    return false;
  }
}
