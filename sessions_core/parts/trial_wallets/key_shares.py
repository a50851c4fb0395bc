"""Trial wallets: for visitors without a wallet a key is made here and split into two key shares (XOR) at once.

The user's browser keeps one key share, the server the other, both random and 32 bytes long; the key is their XOR. A
single one says nothing about the key: for each key there is another share that would make it. The whole key is in
memory while it is made and while it signs, and nowhere else.

A key share that was never used is forgotten after ten minutes, so a flood of clicks costs bounded memory; each
signature lets it live for `SESSIONS_CORE_PREGENERATED_DAYS` more.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from ... import events
from ...errors import StoreUnavailable
from ...sessions.record import Section
from ...sessions.repository import SessionRepository
from ...settings import DAY, MINUTE
from ...sign_in.accounts import Account, parse
from ...sign_in.curves import SECP256K1_ORDER
from ...storage.connection import RedisConnection
from ...storage.encrypted_value import reencrypt
from ...storage.encryption import DecryptionFailed, KeyRing
from .errors import KeyShareMismatch
from .events import WalletDeleted

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

LENGTH = 32  # bytes of a key share

_UNUSED = 10 * MINUTE
_KEY = "share"


class TrialWallet(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """Whether the wallet of a session was made here, and the browser that signed in holds the other key share."""

    held: bool = False


TRIAL_WALLET = Section("trial_wallets", TrialWallet)


class Made(NamedTuple):
    """A new wallet, and the key share that only its user's browser keeps from now on."""

    account: Account
    key_share: bytes


class KeyShares:
    """Makes wallets on `chain` (CAIP-2), signs with them, forgets them when they are not used for so many `days`.

    All methods raise `StoreUnavailable` when Redis does not answer. Neither a key share nor a key is in an exception,
    an event or a log line.
    """

    def __init__(
        self,
        connection: RedisConnection,
        keys: KeyRing,
        repository: SessionRepository,
        chain: str | None,
        days: int,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._repository = repository
        self._chain = chain
        self._kept = days * DAY

    def create(self) -> Made:
        """Make a key, keep one key share, and return the other."""
        server_share, browser_share = secrets.token_bytes(LENGTH), secrets.token_bytes(LENGTH)
        signer = _signer(server_share, browser_share)
        if signer is None:  # no number below the order of the curve; once in 2^128 times
            return self.create()
        account = parse(f"{self._chain}:{signer.address}")
        key = self._key(account)
        self._connection.call("SET", key, self._keys.encrypt(server_share, key.encode()), "EX", _UNUSED)
        return Made(account, browser_share)

    def sign(self, account: Account, key_share: bytes, message: str) -> str:
        """Sign a text (EIP-191) with the key of which `key_share` is the browser's share; return `0x`, r, s, v.

        The caller has to know where the text comes from: this signs any. Raises `KeyShareMismatch` if the two key
        shares do not make the key of the account, or if the server's is gone; both answer alike, after the same work.
        """
        signer = _signer(self._read(account) or secrets.token_bytes(LENGTH), key_share)
        if signer is None or not hmac.compare_digest(signer.address.encode(), account.address.encode()):
            raise _mismatch(account, "not the key of the account")
        from eth_account.messages import encode_defunct

        signature = bytes(signer.sign_message(encode_defunct(text=message)).signature)
        # After signing, and before the signature leaves: a key share that was forgotten meanwhile has signed nothing.
        if self._connection.call("EXPIRE", self._key(account), self._kept) != 1:
            raise _mismatch(account, "forgotten meanwhile")
        return f"0x{signature.hex()}"

    def holds(self, account: Account) -> bool:
        """Whether the server holds a key share of this account's key."""
        return bool(self._connection.call("EXISTS", self._key(account)))

    def reveal(self, account: Account) -> bytes:
        """Return the server's key share, for the user to put their key together.

        Raises `KeyShareMismatch` if it is gone.
        """
        key_share = self._read(account)
        if key_share is None:
            raise _mismatch(account, "forgotten")
        return key_share

    def forget(self, account: Account) -> bool:
        """Delete the server's key share: that key never signs here again. Return whether there was one."""
        forgotten = bool(self._connection.call("DEL", self._key(account)))
        if forgotten:
            events.publish(WalletDeleted(account=str(account)))
        return forgotten

    def reencrypt(self) -> int:
        """Encrypt with the newest secret the key shares that an older one had encrypted; return how many. Their keys
        would be lost with that secret.
        """
        return reencrypt(self._connection, self._keys, self._repository.pattern(_KEY))

    def _key(self, account: Account) -> str:
        return self._repository.account_keys(str(account)).account_key(_KEY)

    def _read(self, account: Account) -> bytes | None:
        key = self._key(account)
        encrypted = self._connection.call("GET", key)
        if encrypted is None:
            return None
        try:
            return self._keys.decrypt(encrypted, key.encode())
        except DecryptionFailed as error:
            # Of a secret that this process lacks, or tampered with. Not a mismatch: users would take their wallet for
            # lost and throw away their key share, which is good again once the secret is back.
            events.publish(events.RecordUnreadable(key=key))
            raise StoreUnavailable("the key share of an account can't be decrypted", retry_after=60) from error


def _mismatch(account: Account, why: str) -> KeyShareMismatch:
    error = KeyShareMismatch(why)
    error.account = str(account)  # so that its user reads of it
    return error


def _signer(server_share: bytes, browser_share: bytes) -> LocalAccount | None:
    """Put a key together; `None` if that is no number that a key can be."""
    key = bytes(one ^ other for one, other in zip(server_share, browser_share, strict=True))
    # Looked at first, since libraries quote what they refuse.
    if not 0 < int.from_bytes(key) < SECP256K1_ORDER:
        return None
    from eth_account import Account as Signer  # 0.6 s to import: `verifiers.warm` has done it where a user waits

    return Signer.from_key(key)
