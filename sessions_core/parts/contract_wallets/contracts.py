"""Contract wallets of Ethereum and its networks: whether the contract accepts a signature (ERC-1271), also one that
is yet to be deployed (ERC-6492).

A key proves itself. Only a contract can tell who signs for it, so the server asks its network, through the RPC URL in
the settings. The server believes that node: name your own, or one you would trust with the accounts of that network.

The wallet's code may be an attacker's as well. It runs inside this module's own program, which is the whole
`eth_call`: if it reverts, burns its gas or returns a megabyte, that stays inside, and the answer is always one small
number. So an error of the node never looks like a wallet's "no".
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ...errors import SignatureMalformed, SignInRefused
from ...sign_in.accounts import Account
from .errors import (
    ContractWalletMissing,
    ContractWalletRefused,
    ContractWalletSilent,
    ContractWalletUnsupported,
    RpcUnavailable,
)
from .options import ContractWalletSettings
from .rpc import NODE_ERROR, Node, unavailable

logger = logging.getLogger(__name__)

# Of a signature; a passkey's with the deployment of its wallet takes about 1500. Programs send it as a bearer, in
# hex, and servers and proxies take header lines of 8190 bytes.
MAX_BYTES = 4000

# None at all is one as well: a Safe whose owners approved the text on chain answers "0x".
_SIGNATURE = re.compile(rf"0x(?:[0-9a-fA-F]{{2}}){{0,{MAX_BYTES}}}", re.ASCII)
_CHAIN_ID = re.compile(r"0x[0-9a-fA-F]{1,16}", re.ASCII)
_ANSWER = re.compile(r"0x[0-9a-fA-F]{64}", re.ASCII)
_LONGEST_OF_A_KEY = 65  # bytes
_AT_ONCE = 4  # checks in one process: even a slow node blocks no more workers than these

# The caller, as the contract sees it: the end of keccak256("asks whether a contract accepts a signature"), an address
# without a known key. Without it the caller would be the zero address, which some contracts let do everything,
# because no transaction can come from it.
_FROM = "0x89d29fb38babd7fb918a24e21c437c0a88a226ed"
_GAS = 10_000_000  # of the whole call: a passkey without help of the chain takes 350 000, a deployment 1 000 000

_WRAPPED = bytes.fromhex("6492" * 16)  # ERC-6492, "Specification"
_IS_VALID_SIGNATURE = bytes.fromhex("1626ba7e")  # ERC-1271: the function's selector, and what it returns for "yes"

# The code that `eth_call` runs, as if it deployed a contract; it deploys nothing. Written by hand for this file, and
# test_contracts.py assembles what stands to the right of it. It asks the wallet; if that is not enough and there is a
# preparation (ERC-6492, "Verifier side"), it makes that call and asks once more. Behind it come wallet, the address
# to call first or 0, length of the question, length of the call, two empty words (for what the wallet answers, and
# how long that was), question, call.
_PROGRAM = bytes.fromhex(
    # All that to memory, from 0 on.
    "6079 80 38 03 90 6000 39"  # PUSH1 @end DUP1 CODESIZE SUB SWAP1 PUSH1 0 CODECOPY
    # Ask, with half of what gas is left; the other half is for what comes after a wallet that burns its own.
    "5b 6020 6080 6040 51 60c0"  # ask: PUSH1 32 PUSH1 0x80 PUSH1 0x40 MLOAD PUSH1 0xc0
    "6000 51 5a 6001 1c fa"  # PUSH1 0 MLOAD GAS PUSH1 1 SHR STATICCALL
    # Accepted if it did not fail, and returned the four bytes, zeros, and nothing else.
    "3d 60a0 52 3d 6020 14 16"  # RETURNDATASIZE PUSH1 0xa0 MSTORE RETURNDATASIZE PUSH1 32 EQ AND
    "6080 51 63 1626ba7e 60e0 1b 14 16"  # PUSH1 0x80 MLOAD PUSH4 0x1626ba7e PUSH1 224 SHL EQ AND
    "80 605e 57"  # DUP1 PUSH1 @answer JUMPI
    # Otherwise, if there is an address to call first:
    "6020 51 15 605e 57 50"  # PUSH1 0x20 MLOAD ISZERO PUSH1 @answer JUMPI POP
    "6000 6000 6060 51 6040 51 60c0 01"  # PUSH1 0 PUSH1 0 PUSH1 0x60 MLOAD PUSH1 0x40 MLOAD PUSH1 0xc0 ADD
    "6000 6020 51 5a 6001 1c f1"  # PUSH1 0 PUSH1 0x20 MLOAD GAS PUSH1 1 SHR CALL
    # That is done only once; ask again if it worked.
    "6000 6020 52 6009 57 6000"  # PUSH1 0 PUSH1 0x20 MSTORE PUSH1 @ask JUMPI PUSH1 0
    # 1 for "a contract is there", 2 for "accepted", 4 for "the wallet said nothing", neither yes nor no.
    "5b 6002 02 6000 51 3b 15 15 17"  # answer: PUSH1 2 MUL PUSH1 0 MLOAD EXTCODESIZE ISZERO ISZERO OR
    "60a0 51 15 6002 1b 17"  # PUSH1 0xa0 MLOAD ISZERO PUSH1 2 SHL OR
    "6000 52 6020 6000 f3"  # PUSH1 0 MSTORE PUSH1 32 PUSH1 0 RETURN
)
_ACCEPTED, _REFUSED, _SILENT = 3, 1, 5
_ABSENT = (0, 4)  # 0: precompiled contracts answer without having code

_OTHER_NETWORK = "the node is of another network"
_NO_PROGRAMS = "the node does not run programs"


class Contracts:
    """Asks contracts, for one application."""

    def __init__(self, options: ContractWalletSettings) -> None:
        self._urls = options.rpc_urls
        self._seconds = options.rpc_timeout_ms / 1000
        self._places = threading.BoundedSemaphore(_AT_ONCE)

    def verify(self, account: Account, message: str, signature: str, refusal: SignInRefused) -> bytes:
        """Return the bytes of a signature that is no key's, if the contract at `account` accepts it for `message`.

        Each other outcome has an error of its own. `refusal` says why it is no key's signature, and is raised where
        it can't be a contract's either. Otherwise:

        - the network has no RPC URL: `ContractWalletUnsupported` if no key can have made the signature. Else
          `refusal` with the reason `contract_unchecked`: it may be of another account's key, or a contract's owner;
        - the network can't be asked: `RpcUnavailable`;
        - no contract is there: `refusal`, or `ContractWalletMissing` if no key can have made the signature;
        - the contract says no: `ContractWalletRefused`; it says nothing: `ContractWalletSilent`.
        """
        if account.namespace != "eip155" or not _SIGNATURE.fullmatch(signature):
            raise refusal
        raw = bytes.fromhex(signature[2:])
        no_key_s = not raw or len(raw) > _LONGEST_OF_A_KEY
        if account.chain.id not in self._urls:
            if no_key_s:
                raise ContractWalletUnsupported("no contract to ask", account.chain.id)
            refusal.reason = "contract_unchecked"
            raise refusal
        answer = self._ask(account, message, raw)
        if answer == _ACCEPTED:
            return raw
        if answer == _REFUSED:
            raise ContractWalletRefused("the contract does not accept it")
        if answer == _SILENT:
            raise ContractWalletSilent("the contract returned nothing")
        if no_key_s:
            raise ContractWalletMissing("nothing is deployed there", account.chain.id)
        raise refusal

    def accepts(self, account: Account, message: str, signature: bytes) -> bool:
        """Whether the contract accepts now what it accepted before; raise `RpcUnavailable` if it can't be asked."""
        if account.chain.id not in self._urls:
            raise unavailable("there is no RPC URL any more", account.chain.id)
        return self._ask(account, message, signature) == _ACCEPTED

    def _ask(self, account: Account, message: str, signature: bytes) -> int:
        program = question(account, message, signature)
        try:
            with self._place():
                return self._run(account, program)
        except RpcUnavailable as error:
            logger.warning("The contract at %s could not be asked: %s%s", account, error, _advice(error, account))
            raise

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise unavailable("all places are taken", retry_after=1)
        try:
            yield
        finally:
            self._places.release()

    def _run(self, account: Account, program: bytes) -> int:
        with Node(self._urls[account.chain.id], self._seconds) as node:
            network = node.ask("eth_chainId")
            if not _CHAIN_ID.fullmatch(network) or str(int(network, 16)) != account.reference:
                # On another network the same address is another contract, maybe another user's.
                raise unavailable(_OTHER_NETWORK, network[:80])
            call = {"from": _FROM, "gas": hex(_GAS), "data": f"0x{program.hex()}"}
            answer = node.ask("eth_call", call, "latest")
            if not _ANSWER.fullmatch(answer):
                raise unavailable(_NO_PROGRAMS, answer[:80])
            told = int(answer, 16)
            if told not in (_ACCEPTED, _REFUSED, _SILENT, *_ABSENT):
                raise unavailable(_NO_PROGRAMS, answer)
            return told


def _advice(error: RpcUnavailable, account: Account) -> str:
    """Return advice for the site's operator, for the log, or nothing if only waiting helps."""
    what, detail = (*map(str, error.args), "")[:2]
    setting = f"SESSIONS_CORE_RPC_URLS[{account.chain.id!r}]"
    if what == _OTHER_NETWORK:
        return f". Correct {setting}"
    if what == _NO_PROGRAMS or (what == "eth_call" and detail.startswith(NODE_ERROR)):
        return (
            ". The node answers, but not this eth_call: it has no `to`, and runs code that is sent along. If that "
            f"goes on, the node does not allow it: name another in {setting}"
        )
    if detail in ("status 401", "status 403"):
        return f". The node refuses the key in {setting}"
    if detail == "status 429":
        return f". The node's quota is used up: get a larger one, or name another in {setting}"
    if detail.startswith("TimeoutError"):
        return ". If that goes on, name a faster node, or raise SESSIONS_CORE_RPC_TIMEOUT_MS"
    return ""


def question(account: Account, message: str, signature: bytes) -> bytes:
    """Return the code to run: the program, and what it works on."""
    factory, call, inner = _unwrapped(signature)
    # isValidSignature(bytes32, bytes), in the encoding of the contract ABI.
    head = _IS_VALID_SIGNATURE + _personal_hash(message) + _word(0x40) + _word(len(inner))
    asked = head + inner + bytes(-len(inner) % 32)
    wallet = _word(int(account.address, 16))
    return _PROGRAM + wallet + factory + _word(len(asked)) + _word(len(call)) + bytes(64) + asked + call


def _unwrapped(signature: bytes) -> tuple[bytes, bytes, bytes]:
    """Return the address to call first (a word), the call, and the signature itself (ERC-6492, "Signer side")."""
    if not signature.endswith(_WRAPPED):
        return _word(0), b"", signature
    body = signature[: -len(_WRAPPED)]
    if len(body) < 96 or any(body[:12]):
        raise SignatureMalformed("not the three values of ERC-6492")
    return body[:32], _bytes_at(body, 32), _bytes_at(body, 64)


def _bytes_at(body: bytes, at: int) -> bytes:
    # A dynamic value of the contract ABI: its place, there its length, and behind that its bytes.
    start = int.from_bytes(body[at : at + 32]) + 32
    length = int.from_bytes(body[start - 32 : start])
    if start > len(body) or length > len(body) - start:
        raise SignatureMalformed("a value of ERC-6492 is not where it says")
    return body[start : start + length]


def _word(number: int) -> bytes:
    return number.to_bytes(32)


def _personal_hash(message: str) -> bytes:
    """Return what `personal_sign` signs, and contracts are asked about (EIP-191, version 0x45)."""
    from Crypto.Hash import keccak  # 70 ms to import, and only sign-in needs it

    text = message.encode()
    prefix = b"\x19Ethereum Signed Message:\n%d" % len(text)
    return keccak.new(digest_bits=256, data=prefix + text).digest()
