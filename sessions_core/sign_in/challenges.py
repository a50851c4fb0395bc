"""Challenges: the text to sign, written by the server, and a signed value that says so. Nothing is stored until one
is spent.

The order in `redeem` is the defence: what is cheap and has no effect comes first, the nonce is spent before any
elliptic-curve work, so neither a flood nor a race gets more than one verification per challenge.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from itsdangerous import BadData, URLSafeSerializer

from .. import events
from ..errors import (
    ChainUnsupported,
    ChallengeExpired,
    ChallengeForeign,
    ChallengeMalformed,
    ChallengeUsed,
    DomainMismatch,
    MessageChanged,
    MessageMalformed,
    MessageNotYetValid,
    SignatureMalformed,
    SignatureMismatch,
    SignInRefused,
    UriMismatch,
    VersionUnsupported,
)
from . import messages, verifiers
from .accounts import Account, parse

if TYPE_CHECKING:
    from ..settings import Settings

SIGN_IN, API, CONFIRM = "sign-in", "api", "confirm"

_ALPHABET = string.ascii_letters + string.digits
_NONCE_LENGTH = 22  # 131 bits
_CLOCK_SKEW = 30  # seconds that two of our own servers may differ
_MAX_CHALLENGE = 1024


@dataclass(frozen=True, slots=True)
class Challenge:
    """What the wallet signs, the value to send back with it, and when both expire (seconds since the epoch)."""

    account: Account
    message: str
    challenge: str
    expires_at: int


class Signed(NamedTuple):
    """The account that signed a challenge, and what a part has as evidence if no key of the account did."""

    account: Account
    evidence: object = None


VerifyOtherwise = Callable[[Account, str, str, SignInRefused], object | None]
"""See `Part.verify_otherwise`."""


class Nonces(Protocol):
    """Where it is remembered which nonces were consumed, for all workers."""

    def consume_nonce(self, nonce: str, seconds: int, when_full: bool = False) -> bool:
        """Consume a nonce for `seconds`; return False if it was consumed before (`SessionRepository`)."""

    def is_consumed(self, nonce: str) -> bool:
        """Whether a nonce was consumed."""


class Challenges:
    """Issues and redeems challenges. `clock` returns seconds since the epoch."""

    def __init__(
        self,
        settings: Settings,
        nonces: Nonces,
        clock: Callable[[], float],
        otherwise: Callable[[], Iterable[VerifyOtherwise]] = tuple,
    ) -> None:
        self._settings = settings
        self._nonces = nonces
        self._otherwise = otherwise
        self._clock = clock
        self._serializer = _serializer(settings.secrets)

    def issue(self, account_text: str, browser: str | None) -> Challenge:
        """Write the sign-in text for a CAIP-10 account.

        With `browser`, the pre-sign-in cookie, the challenge is good for a cookie session in that browser only;
        without, for API tokens only. Raises `AccountMalformed` or `ChainUnsupported`.
        """
        return self._write(
            parse(account_text),
            SIGN_IN if browser else API,
            browser,
            self._settings.statement,
            self._settings.challenge_seconds,
        )

    def issue_confirmation(self, account: Account, statement: str, binding: str) -> Challenge:
        """Write the text with which an account that is signed in confirms one request.

        `statement` names what will be done; `binding` stands for the session and the request, and the text shows the
        beginning of its digest as Request ID.
        """
        return self._write(account, CONFIRM, binding, statement, self._settings.confirm_seconds)

    def issue_for(self, purpose: str, account_text: str, statement: str, binding: str) -> Challenge:
        """Write the text with which an account agrees to what `statement` says, for a purpose of a part.

        `binding` stands for the session that asks. The text outlives the confirmation by the account of that session,
        which comes after it. Raises `AccountMalformed` or `ChainUnsupported`.
        """
        lifetime = self._settings.challenge_seconds + self._settings.confirm_seconds
        return self._write(parse(account_text), purpose, binding, statement, lifetime)

    def _write(self, account: Account, purpose: str, binding: str | None, statement: str, lifetime: int) -> Challenge:
        self._accept_chain(account)
        nonce = "".join(secrets.choice(_ALPHABET) for _ in range(_NONCE_LENGTH))
        now = int(self._clock())
        expires_at = now + lifetime
        layout = verifiers.verifier(account.namespace).layout
        message = messages.write(
            messages.SignInMessage(
                scheme="http" if layout.scheme and not self._settings.secure_origin else None,  # wallets assume https
                domain=self._settings.domain,
                layout=layout,
                address=account.address,
                statement=statement,
                uri=self._settings.public_origin + "/",
                chain_id=layout.chain_id(account.reference),
                nonce=nonce,
                issued_at=messages.timestamp(now),
                expiration_time=messages.timestamp(expires_at),
                request_id=_digest(binding or "")[:32] if purpose == CONFIRM else None,
            )
        )
        claims = {"n": nonce, "a": str(account), "t": _digest(message), "p": purpose}
        if binding:
            claims["b"] = _digest(binding)
        return Challenge(account, message, str(self._serializer.dumps(claims)), expires_at)

    def redeem(
        self, message: str, challenge: str, signature: str, binding: str | None, purpose: str = SIGN_IN
    ) -> Signed:
        """Consume a challenge and return the account that signed it.

        `binding` is what it was issued for: the pre-sign-in cookie, the session and request to confirm, or the
        session whose account to link to. Raises a `SignInRefused` that says what is wrong, or
        `VerificationUnavailable` if that can't be decided now. A nonce that was consumed stays consumed, even if the
        signature is wrong.
        """
        self._refuse_oversized(message, challenge)
        if len(signature) > verifiers.max_signature():
            raise SignatureMalformed("too long")
        claims = self._claims(challenge)
        try:
            return self._spend(claims, message, signature, binding, purpose)
        except SignInRefused as error:
            error.account = claims["a"]
            raise

    def check(self, message: str, challenge: str, binding: str | None, purpose: str = SIGN_IN) -> Account:
        """Return the account that may sign this text now, and spend nothing.

        For a server-side signer: it refuses what `redeem` would refuse before it verifies the signature, with the
        same errors. So only texts that this site wrote are ever signed.
        """
        self._refuse_oversized(message, challenge)
        claims = self._claims(challenge)
        try:
            account, text, _ = self._read(claims, message, "", binding, purpose)
            if self._nonces.is_consumed(text.nonce):
                raise ChallengeUsed("spent")
        except SignInRefused as error:
            error.account = claims["a"]
            raise
        return account

    def is_for(self, challenge: str, bindings: Iterable[str], purpose: str) -> bool:
        """Whether a challenge was issued here for one of these; nothing else is looked at, and nothing spent."""
        if len(challenge) > _MAX_CHALLENGE:
            return False
        try:
            claims = self._claims(challenge)
        except ChallengeMalformed:
            return False
        return claims["p"] == purpose and claims.get("b") in {_digest(each) for each in bindings}

    def _spend(
        self, claims: dict[str, Any], message: str, signature: str, binding: str | None, purpose: str
    ) -> Signed:
        account, text, now = self._read(claims, message, signature, binding, purpose)
        remaining = messages.seconds(text.expiration_time or text.issued_at) - now
        # New sign-ins are refused when Redis is full. A signature that ends sessions must still work.
        when_full = purpose == CONFIRM
        if not self._nonces.consume_nonce(text.nonce, int(remaining) + 2 * _CLOCK_SKEW, when_full):
            events.publish(events.ChallengeReplayed(account=claims["a"]))
            raise ChallengeUsed("replayed")
        try:
            verifiers.verify(account, message, signature, now)
        except (SignatureMalformed, SignatureMismatch) as refusal:
            # After the key, not before, although ERC-6492 has it the other way round: an account that has a key and
            # code (EIP-7702) needs no network to prove itself.
            for verify in self._otherwise():
                evidence = verify(account, message, signature, refusal)
                if evidence is not None:
                    return Signed(account, evidence)
            raise
        return Signed(account)

    def _read(
        self, claims: dict[str, Any], message: str, signature: str, binding: str | None, purpose: str
    ) -> tuple[Account, messages.SignInMessage, float]:
        """Do the checks that have no effect: return the account that has to sign, the text, and the time until which
        it was valid.
        """
        # A challenge fetched by an attacker and signed by their victim is worth nothing in the attacker's browser,
        # and the other way round. What confirms one request confirms no other.
        if claims["p"] != purpose or not hmac.compare_digest(
            claims.get("b", ""), _digest(binding) if binding else ""
        ):
            raise ChallengeForeign("issued to another browser, or for another purpose or request")
        text = messages.read(message, verifiers.layouts())
        account = self._check(text)
        verifiers.refuse_oversized(account, signature)
        if not hmac.compare_digest(claims["t"], _digest(message)) or claims["a"] != str(account):
            raise MessageChanged("not the text that was issued")
        now = self._clock()
        if messages.seconds(text.expiration_time or text.issued_at) <= now:
            raise ChallengeExpired("too late")
        return account, text, now

    @staticmethod
    def _refuse_oversized(message: str, challenge: str) -> None:
        if len(message) > messages.MAX_BYTES:
            raise MessageMalformed("over 2 kB")
        if len(challenge) > _MAX_CHALLENGE:
            raise ChallengeMalformed("over 1 kB")

    def _claims(self, challenge: str) -> dict[str, Any]:
        try:
            claims = self._serializer.loads(challenge)
        except (BadData, ValueError, RecursionError) as error:
            raise ChallengeMalformed("not issued by this site") from error
        return dict(claims)

    def _check(self, text: messages.SignInMessage) -> Account:
        # The digest would refuse all of these too; checking first gives the user a more helpful sentence.
        settings = self._settings
        scheme = settings.public_origin.partition("://")[0]
        if text.domain != settings.domain or (text.layout.scheme and (text.scheme or "https") != scheme):
            raise DomainMismatch(text.domain)
        if text.uri != settings.public_origin + "/":
            raise UriMismatch(text.uri)
        if text.version != "1":
            raise VersionUnsupported(text.version)
        now = self._clock()
        if messages.seconds(text.not_before or text.issued_at) > now + _CLOCK_SKEW:
            raise MessageNotYetValid(text.issued_at)
        if text.expiration_time is not None and messages.seconds(text.expiration_time) <= now:
            raise ChallengeExpired("too late")
        namespace = verifiers.namespace_of(text.layout.account_kind)
        account = parse(f"{namespace}:{text.layout.reference(text.chain_id)}:{text.address}")
        self._accept_chain(account)
        return account

    def _accept_chain(self, account: Account) -> None:
        if account.chain.id not in self._settings.chains:
            raise ChainUnsupported(account.chain.id)


def _serializer(secrets_: Sequence[str]) -> URLSafeSerializer:
    # The text carries its own times; a second timestamp could only disagree with it.
    return URLSafeSerializer(
        list(secrets_),
        salt="sessions_core.challenge",
        signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
