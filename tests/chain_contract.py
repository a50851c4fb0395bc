"""What every chain's verifier must do. Each chain's tests inherit `VerifierContract` and bring a signer.

class TestEip155(VerifierContract):
    namespace, account_kind = "eip155", "Ethereum"
    networks = ("eip155:1", "eip155:10")

    def new_signer(self): ...
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import ClassVar, Protocol

import pytest

from sessions_core import accounts, chains, messages
from sessions_core.accounts import Account
from sessions_core.chains import MAX_SIGNATURE
from sessions_core.errors import (
    ChainUnsupported,
    MessageMalformed,
    SignatureMalformed,
    SignatureMismatch,
    SignInRefused,
)


class Signer(Protocol):
    """A key of one chain."""

    @property
    def address(self) -> str: ...
    def sign(self, message: str) -> str: ...


class VerifierContract:
    namespace: ClassVar[str]
    account_kind: ClassVar[str]
    networks: ClassVar[tuple[str, ...]]
    """At least two CAIP-2 chains of the namespace."""

    def new_signer(self) -> Signer:
        """Return a signer with a fresh key."""
        raise NotImplementedError

    def signature_bits(self, signature: str) -> Iterator[str]:
        """Yield the signature once for each of its bits, with that bit changed and still in the chain's encoding."""
        raise NotImplementedError

    def other_encodings(self, signature: str) -> dict[str, str]:
        """Return the same signature in encodings that are not the canonical one."""
        raise NotImplementedError

    # -- What the tests stand on -----------------------------------------------------------------------------

    @pytest.fixture
    def signer(self) -> Signer:
        return self.new_signer()

    def account(self, signer: Signer, network: str | None = None) -> Account:
        return accounts.parse(f"{network or self.networks[0]}:{signer.address}")

    def text(self, account: Account, statement: str | None = "Sign in.") -> str:
        return messages.write(
            messages.SignInMessage(
                domain="app.example.org",
                account_kind=self.account_kind,
                address=account.address,
                statement=statement,
                uri="https://app.example.org/",
                chain_id=account.reference,
                nonce="k2Vx0bQm81ZtLw4e",
                issued_at="2026-01-31T12:00:00Z",
                expiration_time="2026-01-31T12:05:00Z",
            )
        )

    # -- The contract ----------------------------------------------------------------------------------------

    def test_the_verifier_is_found_by_its_namespace_and_by_the_word_in_the_text(self) -> None:
        found = chains.verifier(self.namespace)
        assert (found.namespace, found.account_kind) == (self.namespace, self.account_kind)
        assert chains.namespace_of(self.account_kind) == self.namespace

    @pytest.mark.parametrize("kind", ["", "ethereum", "Ethereum ", "Dogecoin"])
    def test_an_unknown_kind_of_account_has_no_verifier(self, kind: str) -> None:
        with pytest.raises(MessageMalformed):
            chains.namespace_of(kind)

    def test_an_unknown_namespace_has_no_verifier(self, signer: Signer) -> None:
        account = self.account(signer)
        with pytest.raises(ChainUnsupported):
            chains.verify(Account("unknown", account.reference, account.address), "", "")

    def test_warming_up_twice_is_fine(self) -> None:
        chains.warm(self.namespace)
        chains.warm(self.namespace)

    def test_a_signature_of_the_account_over_the_text_is_accepted(self, signer: Signer) -> None:
        for network in self.networks:
            account = self.account(signer, network)
            text = self.text(account)
            assert chains.verify(account, text, signer.sign(text)) is None

    def test_many_fresh_keys_are_accepted_and_none_for_another(self) -> None:
        signers = [self.new_signer() for _ in range(12)]
        for at, signer in enumerate(signers):
            account = self.account(signer)
            text = self.text(account)
            signature = signer.sign(text)
            chains.verify(account, text, signature)
            with pytest.raises(SignatureMismatch):
                chains.verify(self.account(signers[at - 1]), text, signature)

    @pytest.mark.parametrize("length", [0, 1, 9, 10, 99, 100, 252, 253, 254, 999, 1000, 2048])
    def test_a_text_of_any_length_is_verified_as_it_is(self, signer: Signer, length: int) -> None:
        account = self.account(signer)
        text = "a" * length
        chains.verify(account, text, signer.sign(text))
        with pytest.raises(SignatureMismatch):
            chains.verify(account, text + "a", signer.sign(text))

    def test_a_text_with_any_byte_changed_is_refused(self, signer: Signer) -> None:
        account = self.account(signer)
        text = self.text(account)
        signature = signer.sign(text)
        for at, byte in enumerate(text):
            with pytest.raises(SignatureMismatch):
                chains.verify(account, text[:at] + chr(ord(byte) ^ 1) + text[at + 1 :], signature)

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
            chains.verify(account, change(text), signer.sign(text))

    def test_a_signature_with_any_bit_changed_is_refused(self, signer: Signer) -> None:
        account = self.account(signer)
        text = self.text(account)
        signature = signer.sign(text)
        count = 0
        for changed in self.signature_bits(signature):
            assert changed != signature
            with pytest.raises((SignatureMalformed, SignatureMismatch)):
                chains.verify(account, text, changed)
            count += 1
        assert count >= 512

    def test_a_signature_of_another_account_is_refused(self, signer: Signer) -> None:
        account = self.account(signer)
        text = self.text(account)
        with pytest.raises(SignatureMismatch):
            chains.verify(account, text, self.new_signer().sign(text))

    def test_a_text_that_names_the_victim_proves_nothing_when_another_signed_it(self, signer: Signer) -> None:
        attacker = self.new_signer()
        text = self.text(self.account(signer))
        signature = attacker.sign(text)
        with pytest.raises(SignatureMismatch):
            chains.verify(self.account(signer), text, signature)

    def test_a_signature_for_one_network_is_none_for_another(self, signer: Signer) -> None:
        here, there = (self.account(signer, network) for network in self.networks[:2])
        with pytest.raises(SignatureMismatch):
            chains.verify(there, self.text(there), signer.sign(self.text(here)))

    def test_only_the_one_canonical_encoding_is_accepted(self, signer: Signer) -> None:
        account = self.account(signer)
        text = self.text(account)
        signature = signer.sign(text)
        for name, other in self.other_encodings(signature).items():
            assert other != signature, name
            with pytest.raises(SignatureMalformed):
                chains.verify(account, text, other)

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
            "a" * MAX_SIGNATURE,
            "\n" * MAX_SIGNATURE,
        ],
        ids=ascii,
    )
    def test_junk_is_no_signature(self, signer: Signer, junk: str) -> None:
        account = self.account(signer)
        with pytest.raises(SignInRefused):
            chains.verify(account, self.text(account), junk)

    def test_random_signatures_are_refused(self, signer: Signer) -> None:
        chance = random.Random(65)
        account = self.account(signer)
        text = self.text(account)
        alphabet = "0123456789abcdefABCDEFxX+/= \n\0é"
        for _ in range(300):
            with pytest.raises(SignInRefused):
                chains.verify(account, text, "0x" + "".join(chance.choices(alphabet, k=chance.randrange(140))))
            with pytest.raises(SignInRefused):
                chains.verify(account, text, "0x" + chance.randbytes(64).hex() + "1b")

    def test_an_oversized_signature_is_refused_at_once(self, signer: Signer) -> None:
        account = self.account(signer)
        text = self.text(account)
        start = time.process_time()
        with pytest.raises(SignatureMalformed):
            chains.verify(account, text, signer.sign(text) + "0" * 10_000_000)
        assert time.process_time() - start < 0.1

    def test_whatever_a_library_raises_is_a_refusal(
        self, signer: Signer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def stumble(*_: object) -> None:
            raise RecursionError("deep in a library")

        account = self.account(signer)
        text = self.text(account)
        signature = signer.sign(text)
        monkeypatch.setattr(type(chains.verifier(self.namespace)), "verify", stumble)
        with pytest.raises(SignatureMismatch):
            chains.verify(account, text, signature)
        assert [record.getMessage() for record in caplog.records] == [
            f"The {self.namespace} verifier raised RecursionError"
        ]
