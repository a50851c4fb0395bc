"""The tests' contract wallets, in assembly: one that a key speaks for, and every way in which a wallet may misbehave.

`creation` returns what deploys a runtime code; `KEYED` is the honest wallet, and its owner is an argument of its
creation code.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from Crypto.Hash import keccak

from ..actors import Wallet
from . import CHAIN, FACTORY, Anvil
from .assembly import assemble

MAGIC = "1626ba7e"
WRAPPED = bytes.fromhex("6492" * 16)

# isValidSignature(bytes32 hash, bytes signature): whether ecrecover gives the address in storage 0. Any other call
# replaces that address by its first argument; the tests need no permission.
KEYED = assemble("""
    PUSH1 0 CALLDATALOAD PUSH1 224 SHR PUSH4 0x1626ba7e EQ PUSH1 @check JUMPI
    PUSH1 4 CALLDATALOAD PUSH1 0 SSTORE STOP
check:
    PUSH1 4 CALLDATALOAD PUSH1 0 MSTORE                             ; hash
    PUSH1 0x24 CALLDATALOAD PUSH1 0x24 ADD                          ; where the signature is
    DUP1 PUSH1 64 ADD CALLDATALOAD PUSH1 0 BYTE PUSH1 32 MSTORE     ; v
    DUP1 CALLDATALOAD PUSH1 64 MSTORE                               ; r
    PUSH1 32 ADD CALLDATALOAD PUSH1 96 MSTORE                       ; s
    PUSH1 32 PUSH1 128 PUSH1 128 PUSH1 0 PUSH1 1 GAS STATICCALL POP
    PUSH1 128 MLOAD PUSH1 0 SLOAD EQ PUSH1 @yes JUMPI
    PUSH4 0xffffffff PUSH1 224 SHL PUSH1 0 MSTORE PUSH1 32 PUSH1 0 RETURN
yes:
    PUSH4 0x1626ba7e PUSH1 224 SHL PUSH1 0 MSTORE PUSH1 32 PUSH1 0 RETURN
""")


def answers(word: str, size: int = 32, how: str = "RETURN") -> bytes:
    """A wallet that gives this word (32 bytes in hex), and zeros behind it, to whoever asks whatever."""
    return assemble(f"PUSH32 0x{word:0<64} PUSH1 0 MSTORE PUSH3 {size} PUSH1 0 {how}")


def guarded(condition: str) -> bytes:
    """A wallet that accepts everything where the condition is not zero, and reverts elsewhere."""
    return assemble(f"{condition} PUSH1 @yes JUMPI PUSH1 0 PUSH1 0 REVERT yes:") + answers(MAGIC)


# A wallet of several owners, as a Safe does it: they approve a hash on chain (here anybody may, with any call but the
# question), and an empty signature is good for it from then on. Else it reverts with a reason.
APPROVING = assemble(f"""
    PUSH1 0 CALLDATALOAD PUSH1 224 SHR PUSH4 0x{MAGIC} EQ PUSH1 @check JUMPI
    PUSH1 1 PUSH1 4 CALLDATALOAD SSTORE STOP
check:
    PUSH1 0x44 CALLDATALOAD ISZERO PUSH1 4 CALLDATALOAD SLOAD AND PUSH1 @yes JUMPI
    PUSH32 0x{b"Hash not approved".hex():0<64} PUSH1 0 MSTORE PUSH1 32 PUSH1 0 REVERT
yes:
""") + answers(MAGIC)
# A Safe without a fallback handler: it takes every call, and returns nothing.
HANDLERLESS = assemble("STOP")

ACCEPTS_ALL = answers(MAGIC)
REFUSING = {
    "one": answers(f"{1:064x}"),
    "the bytes at the wrong end": answers(f"{MAGIC:0>64}"),
    "something behind the bytes": answers(MAGIC + "00" * 27 + "01"),
    "something right behind the bytes": answers(MAGIC + "80"),
    "the bytes and no more": answers(MAGIC, 4),
    "31 bytes": answers(MAGIC, 31),
    "33 bytes": answers(MAGIC, 33),
    "64 bytes": answers(MAGIC, 64),
    "zero": answers("00"),
    "all bits": answers("ff" * 32),
    "the bytes of another standard": answers("20c13b0b"),  # isValidSignature(bytes,bytes), before ERC-1271 was final
    "nothing": assemble("STOP"),
    "a revert": assemble("PUSH1 0 PUSH1 0 REVERT"),
    "a revert that says yes": answers(MAGIC, how="REVERT"),
    "an invalid opcode": assemble("INVALID"),
    "all its gas": assemble("again: PUSH1 @again JUMP"),
    "a megabyte that begins with yes": answers(MAGIC, 1 << 20),
    "a revert with a megabyte": answers(MAGIC, 1 << 20, "REVERT"),
    "more memory than there is gas for": answers(MAGIC, (1 << 24) - 1),
    "yes after a change, which asking does not allow": assemble("PUSH1 1 PUSH1 0 SSTORE") + answers(MAGIC),
    "yes to the zero address": guarded("CALLER ISZERO"),
    "yes when nobody pays": guarded("ORIGIN ISZERO"),
    "code that looks like a contract that is not allowed": bytes.fromhex("fe"),
    "itself, without end": assemble(
        "PUSH1 32 PUSH1 0 CALLDATASIZE PUSH1 0 ADDRESS GAS STATICCALL POP PUSH1 0 PUSH1 0 REVERT"
    ),
}


def creation(runtime: bytes, owner: str | None = None) -> bytes:
    """Return what deploys `runtime`, with an address in storage 0 if one is given."""
    store = f"PUSH20 {owner} PUSH1 0 SSTORE " if owner else ""
    copy = f"PUSH2 {len(runtime)} DUP1 PUSH1 @end PUSH1 0 CODECOPY PUSH1 0 RETURN"
    return assemble(store + copy) + runtime


def keccak256(data: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=data).digest()


def create2(code: bytes, salt: bytes) -> str:
    """Return where the factory deploys this creation code (EIP-1014)."""
    return "0x" + keccak256(b"\xff" + bytes.fromhex(FACTORY[2:]) + salt + keccak256(code))[-20:].hex()


def wrapped(factory: str, call: bytes, signature: str) -> str:
    """Return the signature as ERC-6492 wraps it: abi.encode(address, bytes, bytes) and the 32 bytes that mark it."""
    inner = bytes.fromhex(signature[2:])
    head = [int(factory, 16), 96, 96 + 32 + len(padded(call))]
    body = b"".join(word.to_bytes(32) for word in head)
    return "0x" + (body + prefixed(call) + prefixed(inner) + WRAPPED).hex()


def prefixed(value: bytes) -> bytes:
    return len(value).to_bytes(32) + padded(value)


def padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 32)


@dataclass
class ApprovingWallet:
    """A person whose account is an `APPROVING` contract: they answer with an empty signature."""

    evm: Anvil

    def __post_init__(self) -> None:
        self.address = self.evm.deploy(creation(APPROVING))

    def account(self, chain: str = CHAIN) -> str:
        return f"{chain}:{self.address}"

    def approve(self, message: str) -> None:
        """Have all owners approve the text on chain."""
        text = message.encode()
        self.evm.send(self.address, bytes(4) + keccak256(b"\x19Ethereum Signed Message:\n%d" % len(text) + text))

    def sign(self, message: str) -> str:
        """Return what `personal_sign` of such a wallet returns once the owners have approved."""
        self.approve(message)
        return "0x"


@dataclass
class ContractWallet:
    """A person whose account is a contract: `key` signs, and the contract says whether it may.

    Until `deploy` there is no contract, and signatures come wrapped.
    """

    evm: Anvil
    key: Wallet = field(default_factory=Wallet)
    salt: bytes = bytes(32)
    deployed: bool = False

    @property
    def code(self) -> bytes:
        return creation(KEYED, self.key_at_first)

    def __post_init__(self) -> None:
        self.key_at_first = self.key.address
        self.address = create2(self.code, self.salt)

    def account(self, chain: str = CHAIN) -> str:
        return f"{chain}:{self.address}"

    def deploy(self) -> ContractWallet:
        self.evm.send(FACTORY, self.salt + self.code)
        self.deployed = True
        return self

    def sign(self, message: str) -> str:
        """Return what `personal_sign` of such a wallet returns."""
        signature = self.key.sign(message)
        return signature if self.deployed else wrapped(FACTORY, self.salt + self.code, signature)

    def replace_key(self, key: Wallet) -> None:
        """Have the contract listen to another key from now on."""
        self.evm.send(self.address, replacing(key.address))
        self.key = key


def replacing(owner: str) -> bytes:
    """Return the call that makes a `KEYED` wallet listen to another key."""
    return bytes(4) + int(owner, 16).to_bytes(32)
