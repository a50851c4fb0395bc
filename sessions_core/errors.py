"""The closed set of refusals: one class, one code, one HTTP status, one public sentence.

Every failure a client can meet is a class below, so that the JSON envelope, the pages and `docs/errors.md` can never
disagree about a code. Pages may say more in their template. The sentence says what to do; evidence for the log
travels in the arguments of the exception and is never shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click


class Misconfigured(click.ClickException):
    """The application can't start like this; the text says which line to change, and to what.

    The command `flask` prints the text alone, without a traceback.
    """


class SessionsError(Exception):
    """A refusal with a code from the closed set.

    `reason` refines some codes (why a session ended); `retry_after` is in whole seconds. `cause` tells the developer
    what is wrong and which line to write: it is for the log, and in development for the answer too.
    """

    code = "internal_error"
    status = 500
    title = "Something went wrong"
    message = "An error on our side stopped this request. Try again in a moment."
    suspicious = False
    """Whether only a client that makes things up meets it: then it is reported, though no session came along."""
    said = ""
    """What the application said when it aborted, for the page to show in place of its own words."""
    panel_state = "nonce_failed"
    """Where the connect panel starts again after this refusal; its words are in `sessions/_connect.html`."""

    def __init__(
        self,
        *evidence: object,
        reason: str | None = None,
        retry_after: int | None = None,
        cause: str | None = None,
    ) -> None:
        super().__init__(*evidence)
        self.reason = reason
        self.retry_after = retry_after
        self.cause = cause


# -- The request itself ------------------------------------------------------------------------------------


class BadRequest(SessionsError):
    """The request can't be understood."""

    code = "bad_request"
    status = 400
    title = "That request can't be used"
    message = "This site can't read the request. Go back and try again."


class HostUntrusted(BadRequest):
    """The Host header names another site (spoofed, or an address the site isn't served at)."""

    code = "host_untrusted"
    title = "Wrong address"
    message = "This site doesn't work at the address you used. Open it at its own address."


class BodyMalformed(BadRequest):
    """The JSON body is not what the endpoint takes."""

    code = "body_malformed"
    message = "Send one JSON object with the documented fields, each once, in UTF-8."


class BodyIncomplete(BadRequest):
    """The connection ended, or was closed for being too slow, before the whole body had arrived; or its chunks are
    malformed.
    """

    code = "body_incomplete"
    title = "The request broke off"
    message = "Your request was cut off. Nothing was changed. Send it again."


class BodyTooLarge(SessionsError):
    """The body, a field or the number of fields is over the limit."""

    code = "body_too_large"
    status = 413
    title = "That was too large"
    message = "The request is larger than this address accepts. Send less than 16 kB."

    def __init__(self, *evidence: object, limit: int | None = None, **refinement: Any) -> None:
        super().__init__(*evidence, **refinement)
        if limit is not None:  # in bytes, where it is another one
            self.message = f"The request is larger than this address accepts. Send less than {limit // 1024} kB."


class MediaTypeUnsupported(SessionsError):
    """The body is of another media type than the endpoint takes."""

    code = "media_type_unsupported"
    status = 415
    title = "Wrong content type"
    message = "Send the body as application/json."


class NotFound(SessionsError):
    """Nothing is served at this path."""

    code = "not_found"
    status = 404
    title = "Page not found"
    message = "There is nothing at this address. Check it for typing mistakes, or start from the home page."


class MethodNotAllowed(SessionsError):
    """The path exists, the method doesn't."""

    code = "method_not_allowed"
    status = 405
    title = "That doesn't work here"
    message = "This address doesn't answer that kind of request. Go back and use the page's own buttons."


class RateLimited(SessionsError):
    """Too many requests; `retry_after` says how long to wait."""

    code = "rate_limited"
    panel_state = "rate_limited"
    status = 429
    title = "Too many tries"
    message = "There were too many requests from your network. Wait a moment, then try again."


# -- Who is asking -----------------------------------------------------------------------------------------


class CrossSiteRequest(SessionsError):
    """Another site's page sent this request (Sec-Fetch-Site or Origin says so). With `reason` "origin_hidden" the
    browser hides which site's page it was (`Origin: null`, and no Sec-Fetch-Site). With "other_address" it was a page
    of this site, open at an address that is not the public origin.
    """

    code = "cross_site_request"
    status = 403
    title = "This request came from another site"
    message = (
        "For your safety, changes are only accepted from this site's own pages. Open the page here and try again."
    )


class CsrfFailed(SessionsError):
    """The request did not bring the CSRF token of its session or browser. `reason` is one of `CSRF_REASONS`."""

    code = "csrf_failed"
    status = 400
    title = "That form has expired"
    message = "The request had no valid form token. Nothing was changed. Reload the page and try again."


CSRF_REASONS = {
    "token_missing": "neither the field `csrf_token` nor the header `X-CSRFToken` was there",
    "token_wrong": "the token belongs to another session, has expired, or is not one of this site",
    "cookie_missing": "the token came without any cookie of this site: cookies are blocked, or were cleared",
}
"""What the `reason` of `csrf_failed` says."""


class NotSignedIn(SessionsError):
    """No session came along. `reason` is always "no_token"."""

    code = "no_token"
    status = 401
    title = "Sign in first"
    message = "Sign in with your wallet to use this page."


class SessionExpired(NotSignedIn):
    """The session ran out by one of its clocks: `reason` is "idle" or "absolute"."""

    code = "session_expired"
    message = "Your session has expired. Sign in again to continue."


class SessionInvalid(NotSignedIn):
    """The session was ended, or never existed: `reason` says which."""

    code = "session_invalid"
    message = "This session has ended. Sign in again to continue."


class SessionEndedDuringRequest(SessionInvalid):
    """The session was ended while the view ran, and what it wrote to `flask.session` was not kept.

    What the view did elsewhere has happened, so neither its own answer nor "nothing was changed" would be true.
    """

    code = "session_ended_during_request"
    title = "Your session ended while we were working on this"
    message = (
        "Your session ended while we were working on this. Your request may have worked. Sign in again and check "
        "before you repeat it."
    )


class PermissionDenied(SessionsError):
    """Signed in, but not allowed: `missing` is what the session lacks, `kind` whether that is a permission, a role or
    a session type, and `reason` why it lacks it.
    """

    code = "permission_denied"
    status = 403
    title = "You don't have permission"
    message = "You are signed in, but your session lacks the permission for this."

    def __init__(self, missing: str = "", *, kind: str = "permission", **refinement: Any) -> None:
        super().__init__(kind, missing, **refinement)
        self.missing = missing
        self.kind = kind


class StepUpRequired(SessionsError):
    """The wallet has to sign for exactly this first: `reason` is the action, `request` stands for what was asked.

    `problem` is the code of the signature that was refused just now, if there was one.
    """

    code = "step_up_required"
    status = 403
    title = "Confirm this with your wallet"
    message = "Sign a message with your wallet that names this action. Nothing was changed yet."

    def __init__(self, action: str = "", request: str = "", problem: str = "") -> None:
        super().__init__(action, reason=action)
        self.request = request
        self.problem = problem


class ConfirmationMalformed(BadRequest):
    """What was to be confirmed is not a request of this session, or from too long ago."""

    code = "confirmation_malformed"
    title = "This request has expired"
    message = "The request is too old, or from another session. Start again on the page where it began."


class ConfirmationUnclear(BadRequest):
    """A value that the signed text has to name is missing, or can't be shown to the user as it is."""

    code = "confirmation_unclear"
    title = "Your wallet can't show this"
    message = (
        "A value that your wallet must show is missing, sent twice, too long, or in characters that wallets don't "
        "show. Correct it and try again."
    )


# -- Signing in --------------------------------------------------------------------------------------------


class SignInRefused(SessionsError):
    """A sign-in that proves nothing. The nonce is spent if it got as far as the signature.

    `account` is the one that the challenge was written for, if this site issued the challenge.
    """

    code = "sign_in_refused"
    status = 400
    title = "Sign-in failed"
    message = "We couldn't sign you in. Start again and sign the new message."
    account: str | None = None


class AccountMalformed(SignInRefused):
    """Not a CAIP-10 account, or an address with a wrong checksum; `wrong_checksum` if that alone is wrong."""

    code = "account_malformed"
    message = "That is not a valid account address. Choose the account in your wallet again."

    def __init__(self, *evidence: object, wrong_checksum: bool = False, **options: Any) -> None:
        super().__init__(*evidence, **options)
        self.wrong_checksum = wrong_checksum


class AccountKeyless(AccountMalformed):
    """A well-formed address that no single key signs for: of several keys, a contract, a program, or no owner."""

    code = "account_keyless"
    message = "No single key can sign for that address. Choose another account in your wallet."


class ChainUnsupported(SignInRefused):
    """A well-formed account on a network this site does not accept."""

    code = "chain_unsupported"
    panel_state = "wrong_network"
    message = "This site doesn't support that network. Switch the network in your wallet and try again."


class MessageMalformed(SignInRefused):
    """The text is not a sign-in message in the strict form of EIP-4361."""

    code = "message_malformed"
    message = "The signed message is not one of ours. Start again and sign the new message."


class MessageChanged(SignInRefused):
    """The text differs from the one this server wrote for the challenge."""

    code = "message_changed"
    message = "The message was changed after we wrote it. Start again and sign it unchanged."


class DomainMismatch(SignInRefused):
    """The text is for another site: a sign-in being relayed by a phishing page."""

    code = "domain_mismatch"
    panel_state = "domain_mismatch"
    message = "The signed message is for another site. Check the address bar before you sign again."


class UriMismatch(SignInRefused):
    """The text names this domain but another URI."""

    code = "uri_mismatch"
    panel_state = "domain_mismatch"
    message = "The signed message names another address. Start again and sign the new message."


class VersionUnsupported(SignInRefused):
    """The text is of another version of EIP-4361."""

    code = "version_unsupported"
    message = "The signed message has a version this site doesn't know. Start again and sign the new message."


class MessageNotYetValid(SignInRefused):
    """Issued in the future, or before its own Not Before."""

    code = "message_not_yet_valid"
    message = "The signed message is not valid yet. Check the clock of your device and start again."


class ChallengeMalformed(SignInRefused):
    """The challenge was not signed by this server."""

    code = "challenge_malformed"
    message = "This site did not make that message. Start again and sign the new message."


class ChallengeExpired(SignInRefused):
    """More than the allowed time passed between the challenge and the signature."""

    code = "challenge_expired"
    panel_state = "nonce_expired"
    message = "That message has expired. Start again to get a new one."


class ChallengeForeign(SignInRefused):
    """The challenge was issued to another browser, or for another purpose."""

    code = "challenge_foreign"
    message = "That message belongs to another browser. Start again here."


class ChallengeUsed(SignInRefused):
    """The nonce was already spent: a replay, or a form that was sent twice."""

    code = "challenge_used"
    panel_state = "nonce_expired"
    message = "That message was already used. Start again and sign the new message."


class SignatureMalformed(SignInRefused):
    """Not the one canonical encoding of a signature (length, hex, v, range, low s)."""

    code = "signature_malformed"
    panel_state = "signature_unreadable"
    message = "Your wallet's answer is not a valid signature. Try again, or use another wallet."


class SignatureMismatch(SignInRefused):
    """A signature, but not by this account over this text."""

    code = "signature_mismatch"
    panel_state = "bad_signature"
    message = "The signature is not from that account. Check which account is active in your wallet and try again."


# -- What the service depends on ---------------------------------------------------------------------------


class VerificationUnavailable(SessionsError):
    """Whether a signature is good can't be decided right now: what has to be asked about it does not answer."""

    code = "verification_unavailable"
    panel_state = "network_unreachable"
    status = 503
    title = "That signature can't be checked right now"
    message = "The service that checks this signature doesn't answer. Try again in a moment."


class StoreUnavailable(SessionsError):
    """Redis did not answer in time, refused, or is being spared by the circuit breaker."""

    code = "store_unavailable"
    panel_state = "server_unreachable"
    status = 503
    title = "We can't check who is signed in right now"
    message = "We can't check sessions right now. Your last change may be lost. Try again in a few seconds."


class SignOutIncomplete(StoreUnavailable):
    """The session could not be revoked, so claiming a sign-out would be a lie."""

    code = "sign_out_incomplete"
    title = "You are still signed in"
    message = "Part of our system doesn't answer, so you are not signed out yet. Try again in a few seconds."


class RevocationPending(SessionsError):
    """Sessions were ended, but too few replicas have confirmed it (`SESSIONS_CORE_REVOCATION_REPLICAS`), or a
    failover began meanwhile: they could come back.
    """

    code = "revocation_pending"
    status = 503
    title = "Signed out, but not confirmed yet"
    message = (
        "The sessions have ended, but our backup servers have not confirmed it yet. One could come back if a server "
        "fails now. To be sure, do it again in a few seconds."
    )


def family(root: type[SessionsError]) -> Iterator[type[SessionsError]]:
    """Yield a class and all that refine it."""
    yield root
    for branch in root.__subclasses__():
        yield from family(branch)


def catalogue() -> dict[str, type[SessionsError]]:
    """Return every public error class by its code, those of parts included; `docs/errors.md` lists them."""
    return {error.code: error for error in family(SessionsError)}
