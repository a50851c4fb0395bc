"""Pre-generated wallets: for people without a wallet a key is made here and split in two shares (XOR) at once.

    {tag}:share   string  sealed: the server's share of one account's key, 32 random bytes

The person's browser keeps the other share, as random and as long; the key is their XOR. Who has only one of them
knows nothing about the key: for each key there is another share that would make it. The whole key is in memory while
it is made and while it signs, and nowhere else.

A share that was never used is forgotten after ten minutes, so a flood of clicks costs bounded memory; each signature
lets it live for `SESSIONS_CORE_PREGENERATED_DAYS` more.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ... import events
from ...errors import ShareMismatch, StoreUnavailable
from ...sessions.end_reasons import EndReason
from ...sessions.record import Section
from ...sessions.repository import SessionRepository
from ...settings import DAY, MINUTE, Settings
from ...sign_in.accounts import Account, parse
from ...sign_in.curves import SECP256K1_ORDER
from ...storage.connection import RedisConnection
from ...storage.encrypted_value import reencrypt
from ...storage.encryption import DecryptionFailed, KeyRing

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

LENGTH = 32  # bytes of a share

_UNUSED = 10 * MINUTE
_KEY = "share"

SHARE_GONE = EndReason("share_gone", "its browser no longer holds its half of a pre-generated wallet")
DELETED = EndReason("wallet_deleted", "its pre-generated wallet was deleted", is_counted=False)


class TrialWallet(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """Whether the wallet of a session was made here, and the browser that signed in holds its other half."""

    held: bool = False


TRIAL_WALLET = Section("trial_wallets", TrialWallet)


class Made(NamedTuple):
    """A new wallet, and the share that only its person's browser keeps from now on."""

    account: Account
    share: bytes


class Shares:
    """Makes wallets, signs with them, forgets them. All methods raise `StoreUnavailable` when Redis does not answer.

    Neither a share nor a key is in an exception, an event or a log line.
    """

    def __init__(
        self, connection: RedisConnection, keys: KeyRing, repository: SessionRepository, settings: Settings
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._repository = repository
        self._chain = settings.pregenerated_chain
        self._kept = settings.pregenerated_days * DAY

    def create(self) -> Made:
        """Make a key, keep one share, and return the other."""
        ours, theirs = secrets.token_bytes(LENGTH), secrets.token_bytes(LENGTH)
        signer = _signer(ours, theirs)
        if signer is None:  # no number below the order of the curve; once in 2^128 times
            return self.create()
        account = parse(f"{self._chain}:{signer.address}")
        key = self._repository.account_keys(str(account)).account_key(_KEY)
        self._connection.call("SET", key, self._keys.encrypt(ours, key.encode()), "EX", _UNUSED)
        return Made(account, theirs)

    def sign(self, account: Account, share: bytes, message: str) -> str:
        """Sign a text (EIP-191) with the key of which `share` is the person's half; return `0x`, r, s, v.

        Whoever calls has to know where the text comes from: this signs any. Raises `ShareMismatch` if the two shares
        do not make the key of the account, or if the server's is gone; both answer alike, after the same work.
        """
        signer = _signer(self._read(account) or secrets.token_bytes(LENGTH), share)
        if signer is None or not hmac.compare_digest(signer.address.encode(), account.address.encode()):
            raise _mismatch(account, "not the key of the account")
        from eth_account.messages import encode_defunct

        signature = bytes(signer.sign_message(encode_defunct(text=message)).signature)
        # After signing, and before the signature leaves: a share that was forgotten meanwhile has signed nothing.
        if (
            self._connection.call("EXPIRE", self._repository.account_keys(str(account)).account_key(_KEY), self._kept)
            != 1
        ):
            raise _mismatch(account, "forgotten meanwhile")
        return f"0x{signature.hex()}"

    def holds(self, account: Account) -> bool:
        """Whether the server holds a share of this account's key."""
        return bool(self._connection.call("EXISTS", self._repository.account_keys(str(account)).account_key(_KEY)))

    def reveal(self, account: Account) -> bytes:
        """Return the server's share, for the person to put their key together.

        Raises `ShareMismatch` if it is gone.
        """
        share = self._read(account)
        if share is None:
            raise _mismatch(account, "forgotten")
        return share

    def forget(self, account: Account) -> bool:
        """Delete the server's share: nobody can ever sign with that key here again. Return whether there was one."""
        forgotten = bool(self._connection.call("DEL", self._repository.account_keys(str(account)).account_key(_KEY)))
        if forgotten:
            events.publish(events.WalletDeleted(account=str(account)))
        return forgotten

    def reencrypt(self) -> int:
        """Encrypt with the newest secret the shares that an older one had encrypted; return how many. Their keys
        would be lost with that secret.
        """
        return reencrypt(self._connection, self._keys, self._repository.pattern(_KEY))

    def _read(self, account: Account) -> bytes | None:
        key = self._repository.account_keys(str(account)).account_key(_KEY)
        sealed = self._connection.call("GET", key)
        if sealed is None:
            return None
        try:
            return self._keys.decrypt(sealed, key.encode())
        except DecryptionFailed as error:
            # Of a secret that this process lacks, or tampered with. Not a mismatch: people would take their wallet
            # for lost and throw away their share, which is good again once the secret is back.
            events.publish(events.RecordUnreadable(key=key))
            raise StoreUnavailable("the share of an account can't be opened", retry_after=60) from error


def _mismatch(account: Account, why: str) -> ShareMismatch:
    error = ShareMismatch(why)
    error.account = str(account)  # so that its person reads of it
    return error


def _signer(ours: bytes, theirs: bytes) -> LocalAccount | None:
    """Put a key together; `None` if that is no number that a key can be."""
    key = bytes(one ^ other for one, other in zip(ours, theirs, strict=True))
    # Looked at first, since libraries quote what they refuse.
    if not 0 < int.from_bytes(key) < SECP256K1_ORDER:
        return None
    from eth_account import Account as Signer  # 0.6 s to import: `chains.warm` has done it where somebody waits

    return Signer.from_key(key)
