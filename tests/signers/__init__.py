"""Wallets by the chains' own libraries: what they sign shares no code with what verifies.

One Node.js process (`signers.mjs`) signs for the whole run; `tests/browser/install.sh` installs its packages. A
signer is a fresh key, unless one is given.
"""

from __future__ import annotations

import atexit
import json
import secrets
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOLANA, SOLANA_DEVNET = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"
SOLANA_TESTNET = "solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z"
ICP = "icp:737ba355e855bd4b61279056603e0550"
_one_at_a_time = threading.Lock()


@cache
def _process() -> subprocess.Popen[str]:
    node = shutil.which("node")
    if node is None or not (HERE / "node_modules").is_dir():
        raise RuntimeError("The signers need Node.js and their packages: run sh tests/browser/install.sh")
    pipe = subprocess.PIPE
    process = subprocess.Popen([node, str(HERE / "signers.mjs")], stdin=pipe, stdout=pipe, text=True)
    atexit.register(process.kill)
    return process


def ask(chain: str, **given: Any) -> dict[str, Any]:
    """Have the chain's own library do something; `signers.mjs` says what."""
    process = _process()
    assert process.stdin is not None
    assert process.stdout is not None
    with _one_at_a_time:
        process.stdin.write(json.dumps({"chain": chain, **given}) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    assert line, "the signers have stopped"
    answer: dict[str, Any] = json.loads(line)
    assert "error" not in answer, answer["error"]
    return answer


def fresh_key() -> str:
    return secrets.token_hex(32)


@dataclass
class EthereumSigner:
    """viem."""

    key: str = field(default_factory=fresh_key)

    @cached_property
    def address(self) -> str:
        return str(ask("eip155", key=self.key, text="")["address"])

    def account(self, chain: str = "eip155:1") -> str:
        return f"{chain}:{self.address}"

    def sign(self, message: str) -> str:
        return str(ask("eip155", key=self.key, text=message)["signature"])


@dataclass
class StacksSigner:
    """@stacks/transactions and @stacks/encryption."""

    key: str = field(default_factory=fresh_key)

    @cached_property
    def _addresses(self) -> dict[str, str]:
        return ask("stacks", key=self.key, text="")

    @property
    def address(self) -> str:
        return self._addresses["mainnet"]

    @property
    def testnet(self) -> str:
        return self._addresses["testnet"]

    @property
    def uncompressed(self) -> str:
        """The address of the same key written uncompressed, which no wallet uses."""
        return self._addresses["uncompressed"]

    def account(self, chain: str = "stacks:1") -> str:
        return f"{chain}:{self.address if chain == 'stacks:1' else self.testnet}"

    def sign(self, message: str, **how: Any) -> str:
        return str(ask("stacks", key=self.key, text=message, **how)["signature"])


@dataclass
class SolanaSigner:
    """tweetnacl and bs58."""

    key: str = field(default_factory=fresh_key)

    @cached_property
    def address(self) -> str:
        return str(ask("solana", key=self.key, text="")["address"])

    def account(self, chain: str = SOLANA) -> str:
        return f"{chain}:{self.address}"

    def sign(self, message: str) -> str:
        return str(ask("solana", key=self.key, text=message)["signature"])


NEVER = 4_102_444_800_000  # 2100, in milliseconds


@dataclass
class IcpSigner:
    """@icp-sdk/core: a key for each name of `kinds`, the first the principal's, each delegating to the next.

    `expires` is in milliseconds, one for each delegation; `limits` has the targets or permissions of each.
    """

    kinds: tuple[str, ...] = ("ed25519", "p256")
    expires: tuple[int, ...] = ()
    limits: tuple[dict[str, Any], ...] = ()
    keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        links = len(self.kinds) - 1
        self.keys = self.keys or tuple(fresh_key() for _ in self.kinds)
        self.expires = self.expires or (NEVER,) * links
        self.limits = self.limits or ({},) * links

    def _given(self) -> dict[str, Any]:
        keys = [{"kind": kind, "key": key} for kind, key in zip(self.kinds, self.keys, strict=True)]
        limits = zip(self.expires, self.limits, strict=True)
        return {"keys": keys, "delegations": [{"expires": expires, **limit} for expires, limit in limits]}

    def _ask(self, message: str) -> dict[str, str]:
        return ask("icp", text=message, **self._given())

    def delegate(self, to: str, *, expires: int = NEVER, **limits: Any) -> dict[str, Any]:
        """Return the chain that ends at a key of somebody else (DER in hex), as `toJSON()` writes it."""
        given = self._given()
        given["delegations"].append({"expires": expires, **limits})
        chain: dict[str, Any] = ask("icp", to=to, **given)["chain"]
        return chain

    @cached_property
    def address(self) -> str:
        return self._ask("")["principal"]

    def account(self, chain: str = ICP) -> str:
        return f"{chain}:{self.address}"

    def sign(self, message: str) -> str:
        return self._ask(message)["signature"]
