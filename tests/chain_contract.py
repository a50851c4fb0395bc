"""What every chain's verifier must do. Each chain's tests inherit `VerifierContract` and bring a signer.

class TestEip155(VerifierContract):
    namespace, account_kind = "eip155", "Ethereum"
    networks = ("eip155:1", "eip155:10")

    def new_signer(self): ...
"""

from __future__ import annotations

import random
import string
import time
from collections.abc import Callable, Iterator
from typing import ClassVar, Protocol

import pytest

from sessions_core.errors import (
    ChainUnsupported,
    MessageMalformed,
    SignatureMalformed,
    SignatureMismatch,
    SignInRefused,
)
from sessions_core.sign_in import accounts, messages, verifiers
from sessions_core.sign_in.accounts import Account

NOW = 1_769_860_800  # 2026-01-31T12:00:00Z, when the texts of these tests are issued


def verify(account: Account, message: str, signature: str, now: float = NOW) -> None:
    verifiers.verify(account, message, signature, now)


class Signer(Protocol):
    """A key of one chain."""

    @property
    def address(self) -> str: ...
    def sign(self, message: str) -> str: ...


class VerifierContract:
    namespace: ClassVar[str]
    account_kind: ClassVar[str]
    networks: ClassVar[tuple[str, ...]]
    """CAIP-2 chains of the namespace, two if there are that many."""
    refusals: ClassVar[tuple[type[SignInRefused], ...]] = (SignatureMalformed, SignatureMismatch)
    """What a signature with one bit changed may be refused for."""

    def new_signer(self) -> Signer:
        """Return a signer with a fresh key."""
        raise NotImplementedError

    def signature_bits(self, signature: str) -> Iterator[str]:
        """Yield the signature once for each of its bits, with that bit changed and still in the chain's encoding."""
        raise NotImplementedError

    def other_encodings(self, signature: str) -> dict[str, str]:
        """Return the same signature in encodings that are not the canonical one."""
        raise NotImplementedError

    def means_the_same(self, one: str, other: str) -> bool:
        """Whether two spellings of a signature are one, where a chain has more than one."""
        return one == other

    # -- What the tests stand on -----------------------------------------------------------------------------

    @pytest.fixture
    def signer(self) -> Signer:
        return self.new_signer()

    def account(self, signer: Signer, network: str | None = None) -> Account:
        return accounts.parse(f"{network or self.networks[0]}:{signer.address}")

    def account_elsewhere(self, signer: Signer) -> Account:
        """The same key's account on another network."""
        return self.account(signer, self.networks[1])

    def text(self, account: Account, statement: str | None = "Sign in.") -> str:
        return messages.write(self.message(account, statement))

    def message(self, account: Account, statement: str | None = "Sign in.") -> messages.SignInMessage:
        layout = verifiers.verifier(self.namespace).layout
        return messages.SignInMessage(
            domain="app.example.org",
            layout=layout,
            address=account.address,
            statement=statement,
            uri="https://app.example.org/",
            chain_id=(layout.chain_ids or {}).get(account.reference, account.reference),
            nonce="k2Vx0bQm81ZtLw4e",
            issued_at="2026-01-31T12:00:00Z",
            expiration_time="2026-01-31T12:05:00Z",
        )

    # -- The contract ----------------------------------------------------------------------------------------

    def test_verifier_is_found_by_namespace_and_account_kind(self) -> None:
        found = verifiers.verifier(self.namespace)
        assert (found.namespace, found.layout.account_kind) == (self.namespace, self.account_kind)
        assert verifiers.namespace_of(self.account_kind) == self.namespace

    @pytest.mark.parametrize("kind", ["", "ethereum", "Ethereum ", "Dogecoin"])
    def test_an_unknown_kind_of_account_has_no_verifier(self, kind: str) -> None:
        with pytest.raises(MessageMalformed):
            verifiers.namespace_of(kind)

    def test_an_unknown_namespace_has_no_verifier(self, signer: Signer) -> None:
        account = self.account(signer)
        with pytest.raises(ChainUnsupported):
            verifiers.verify(Account("unknown", account.reference, account.address), "", "", NOW)

    def test_warming_up_twice_is_harmless(self) -> None:
        verifiers.warm(self.namespace)
        verifiers.warm(self.namespace)

    def test_a_signature_of_the_account_over_the_text_is_accepted(self, signer: Signer) -> None:
        for network in self.networks:
            account = self.account(signer, network)
            text = self.text(account)
            signature = signer.sign(text)
            assert verifiers.verify(account, text, signature, NOW) is None
            assert len(signature) <= verifiers.verifier(self.namespace).max_signature <= verifiers.max_signature()

    @pytest.mark.parametrize("statement", [None, "Sign in.", "URI: https://evil.example/", "Version: 1"])
    def test_text_is_read_as_it_was_written(self, signer: Signer, statement: str | None) -> None:
        for network in self.networks:
            account = self.account(signer, network)
            text = self.text(account, statement)
            found = messages.read(text, verifiers.layouts())
            assert found == self.message(account, statement)
            assert messages.write(found) == text
            assert text.splitlines()[1] == account.address
            assert found.layout.reference(found.chain_id) == account.reference
            assert found.layout.chain_id(account.reference) == found.chain_id

    def test_many_fresh_keys_are_accepted_and_none_for_another(self) -> None:
        signers = [self.new_signer() for _ in range(12)]
        for at, signer in enumerate(signers):
            account = self.account(signer)
            text = self.text(account)
            signature = signer.sign(text)
            verify(account, text, signature)
            with pytest.raises(SignatureMismatch):
                verify(self.account(signers[at - 1]), text, signature)

    @pytest.mark.parametrize("length", [0, 1, 9, 10, 99, 100, 252, 253, 254, 999, 1000, 2048])
    def test_a_text_of_any_length_is_verified_as_it_is(self, signer: Signer, length: int) -> None:
        account = self.account(signer)
        text = "a" * length
        verify(account, text, signer.sign(text))
        with pytest.raises(SignatureMismatch):
            verify(account, text + "a", signer.sign(text))

    def test_a_text_with_any_byte_changed_is_refused(self, signer: Signer) -> None:
        account = self.account(signer)
        text = self.text(account)
        signature = signer.sign(text)
        for at, byte in enumerate(text):
            with pytest.raises(SignatureMismatch):
                verify(account, text[:at] + chr(ord(byte) ^ 1) + text[at + 1 :], signature)

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: text + "\n",
            lambda text: "\n" + text,
            lambda text: text.replace("\n", "\r\n"),
            lambda text: text[:-1],
            lambda text: text + "\0",
            lambda text: text.upper(),
            lambda text: "",
        ],
    )
    def test_a_text_in_another_form_is_refused(self, signer: Signer, change: Callable[[str], str]) -> None:
        account = self.account(signer)
        text = self.text(account)
        with pytest.raises(SignatureMismatch):
            verify(account, change(text), signer.sign(text))

    def test_a_signature_with_any_bit_changed_is_refused(self, signer: Signer) -> None:
        account = self.account(signer)
        text = self.text(account)
        signature = signer.sign(text)
        count = 0
        for changed in self.signature_bits(signature):
            assert changed != signature
            with pytest.raises(self.refusals):
                verify(account, text, changed)
            count += 1
        assert count >= 512

    def test_a_signature_of_another_account_is_refused(self, signer: Signer) -> None:
        account = self.account(signer)
        text = self.text(account)
        with pytest.raises(SignatureMismatch):
            verify(account, text, self.new_signer().sign(text))

    def test_victims_text_signed_by_another_key_is_refused(self, signer: Signer) -> None:
        attacker = self.new_signer()
        text = self.text(self.account(signer))
        signature = attacker.sign(text)
        with pytest.raises(SignatureMismatch):
            verify(self.account(signer), text, signature)

    def test_a_signature_for_one_network_is_none_for_another(self, signer: Signer) -> None:
        here, there = self.account(signer), self.account_elsewhere(signer)
        assert self.text(here) != self.text(there)
        with pytest.raises(SignatureMismatch):
            verify(there, self.text(there), signer.sign(self.text(here)))

    def test_only_the_one_canonical_encoding_is_accepted(self, signer: Signer) -> None:
        account = self.account(signer)
        text = self.text(account)
        signature = signer.sign(text)
        for name, other in self.other_encodings(signature).items():
            assert other != signature, name
            with pytest.raises(SignInRefused) as refusal:
                verify(account, text, other)
            assert type(refusal.value) is SignatureMalformed, name

    @pytest.mark.parametrize(
        "junk",
        [
            "",
            " ",
            "0x",
            "0x0",
            "null",
            "\0",
            "\ud800",
            "é",
            "0x" + "g" * 130,
            "0x" + "\u0660" * 130,
            "0x" + "0" * 130,
            "0x" + "f" * 130,
            "a" * verifiers.max_signature(),
            "\n" * verifiers.max_signature(),
        ],
        ids=ascii,
    )
    def test_malformed_signature_is_refused(self, signer: Signer, junk: str) -> None:
        account = self.account(signer)
        with pytest.raises(SignInRefused):
            verify(account, self.text(account), junk)

    def test_random_signatures_are_refused(self, signer: Signer) -> None:
        chance = random.Random(65)
        account = self.account(signer)
        text = self.text(account)
        alphabet = "0123456789abcdefABCDEFxX+/= \n\0é"
        for _ in range(300):
            with pytest.raises(SignInRefused):
                verify(account, text, "0x" + "".join(chance.choices(alphabet, k=chance.randrange(140))))
            with pytest.raises(SignInRefused):
                verify(account, text, "0x" + chance.randbytes(64).hex() + "1b")

    def test_altered_signature_is_refused(self, signer: Signer) -> None:
        """Characters are changed, added or removed at random."""
        chance = random.Random(122)
        account = self.account(signer)
        text = self.text(account)
        signature = signer.sign(text)
        characters = string.printable + "\0é\u0660"
        for _ in range(500):
            changed = list(signature)
            for _ in range(chance.choice((1, 1, 2, 5))):
                at = chance.randrange(len(changed))
                changed[at : at + chance.randrange(2)] = chance.choices(characters, k=chance.randrange(2))
            if not self.means_the_same("".join(changed), signature):
                with pytest.raises(SignInRefused):
                    verify(account, text, "".join(changed))

    def test_an_oversized_signature_is_refused_at_once(self, signer: Signer) -> None:
        account = self.account(signer)
        text = self.text(account)
        start = time.process_time()
        with pytest.raises(SignatureMalformed):
            verify(account, text, signer.sign(text) + "0" * 10_000_000)
        assert time.process_time() - start < 0.1

    def test_a_signature_of_one_character_too_many_is_not_looked_at(self, signer: Signer) -> None:
        account = self.account(signer)
        with pytest.raises(SignatureMalformed, match="too long"):
            verify(account, self.text(account), "0" * (verifiers.verifier(self.namespace).max_signature + 1))

    def test_no_signature_within_the_limit_takes_long(self, signer: Signer) -> None:
        account = self.account(signer)
        text = self.text(account)
        most = verifiers.verifier(self.namespace).max_signature
        verifiers.warm(self.namespace)
        for filling in ("0", "1", "a", "z", "[", "{", '{"', "\\", "{}", "é"):
            start = time.process_time()
            with pytest.raises(SignInRefused):
                verify(account, text, (filling * most)[:most])
            assert time.process_time() - start < 0.05

    def test_any_library_error_is_a_refusal(
        self, signer: Signer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def stumble(*_: object) -> None:
            raise RecursionError("deep in a library")

        account = self.account(signer)
        text = self.text(account)
        signature = signer.sign(text)
        monkeypatch.setattr(type(verifiers.verifier(self.namespace)), "verify", stumble)
        with pytest.raises(SignatureMismatch):
            verify(account, text, signature)
        assert [record.getMessage() for record in caplog.records] == [
            f"The {self.namespace} verifier raised RecursionError"
        ]
