"""The key ring: what it opens, and all that it does not."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sessions_core.storage import encryption
from sessions_core.storage.encryption import DecryptionFailed, KeyRing

from ..constants import REDIS_PREFIX

OLD, NEW = "an old secret of thirty-two letters or more", "a new secret of thirty-two letters or more"
PLACE = f"{REDIS_PREFIX}{{tag}}:session:abc|1|2|3".encode()


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing((NEW,), "test 1")


@pytest.mark.parametrize("plaintext", [b"", b"x", b"a record", bytes(range(256)) * 400])
def test_encrypted_value_decrypts_at_its_place(ring: KeyRing, plaintext: bytes) -> None:
    assert ring.decrypt(ring.encrypt(plaintext, PLACE), PLACE) == plaintext


def test_encrypted_value_is_key_id_nonce_ciphertext_and_tag(ring: KeyRing) -> None:
    assert len(ring.encrypt(b"eight by", PLACE)) == 4 + 12 + 8 + 16


def test_plaintext_is_not_in_the_encrypted_value(ring: KeyRing) -> None:
    assert b"a secret of the session" not in ring.encrypt(b"a secret of the session", PLACE)


def test_every_value_is_encrypted_with_its_own_nonce(ring: KeyRing) -> None:
    sealed = [ring.encrypt(b"the same", PLACE) for _ in range(2000)]
    assert len({value[4:16] for value in sealed}) == 2000
    assert len({value[16:] for value in sealed}) == 2000


def test_value_does_not_decrypt_at_another_place(ring: KeyRing) -> None:
    with pytest.raises(DecryptionFailed):
        ring.decrypt(ring.encrypt(b"a record", PLACE), PLACE + b"0")


def test_changed_byte_prevents_decryption(ring: KeyRing) -> None:
    sealed = ring.encrypt(b"a record", PLACE)
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(DecryptionFailed):
            ring.decrypt(bytes(changed), PLACE)


def test_changed_length_prevents_decryption(ring: KeyRing) -> None:
    sealed = ring.encrypt(b"a record", PLACE)
    for length in range(len(sealed)):
        with pytest.raises(DecryptionFailed):
            ring.decrypt(sealed[:length], PLACE)
    with pytest.raises(DecryptionFailed):
        ring.decrypt(sealed + b"\0", PLACE)


def test_value_encrypted_before_a_rotation_still_decrypts() -> None:
    before = KeyRing((OLD,), "test 1").encrypt(b"a record", PLACE)
    assert KeyRing((OLD, NEW), "test 1").decrypt(before, PLACE) == b"a record"


def test_newest_key_encrypts() -> None:
    sealed = KeyRing((OLD, NEW), "test 1").encrypt(b"a record", PLACE)
    assert KeyRing((NEW,), "test 1").decrypt(sealed, PLACE) == b"a record"
    with pytest.raises(DecryptionFailed, match="unknown key"):
        KeyRing((OLD,), "test 1").decrypt(sealed, PLACE)


def test_only_values_of_an_older_secret_are_encrypted_again() -> None:
    ring = KeyRing((OLD, NEW), "test 1")
    renewed = ring.reencrypt(KeyRing((OLD,), "test 1").encrypt(b"a record", PLACE), PLACE)
    assert renewed is not None
    assert KeyRing((NEW,), "test 1").decrypt(renewed, PLACE) == b"a record"
    assert ring.reencrypt(renewed, PLACE) is None
    assert KeyRing((OLD,), "test 1").reencrypt(renewed, PLACE) is None
    assert ring.reencrypt(b"", PLACE) is None


def test_value_of_a_retired_secret_does_not_decrypt() -> None:
    sealed = KeyRing((OLD,), "test 1").encrypt(b"a record", PLACE)
    with pytest.raises(DecryptionFailed, match="unknown key"):
        KeyRing((NEW,), "test 1").decrypt(sealed, PLACE)


def test_value_that_claims_another_key_does_not_decrypt() -> None:
    both = KeyRing((OLD, NEW), "test 1")
    sealed, other = both.encrypt(b"a record", PLACE), KeyRing((OLD,), "test 1").encrypt(b"", PLACE)
    with pytest.raises(DecryptionFailed, match="not what was encrypted"):
        both.decrypt(other[:4] + sealed[4:], PLACE)


def test_a_key_is_good_for_one_purpose_only() -> None:
    sealed = KeyRing((NEW,), "test 1").encrypt(b"a record", PLACE)
    with pytest.raises(DecryptionFailed):
        KeyRing((NEW,), "test 2").decrypt(sealed, PLACE)


def test_the_same_secret_twice_is_one_key() -> None:
    ring = KeyRing((NEW, OLD, NEW), "test 1")
    assert KeyRing((NEW,), "test 1").decrypt(ring.encrypt(b"a record", PLACE), PLACE) == b"a record"


def test_secret_that_is_not_valid_unicode_encrypts_too() -> None:
    ring = KeyRing(("\ud800" * 40,), "test 1")
    assert ring.decrypt(ring.encrypt(b"a record", PLACE), PLACE) == b"a record"


def test_decrypting_derives_no_key(monkeypatch: pytest.MonkeyPatch, ring: KeyRing) -> None:
    sealed = ring.encrypt(b"a record", PLACE)
    derived: list[bytes] = []
    monkeypatch.setattr(HKDF, "derive", lambda _, secret: derived.append(secret) or bytes(32))
    assert ring.decrypt(sealed, PLACE) == b"a record"
    assert derived == []
    assert encryption.HKDF is HKDF, "the count above must be that of the module's own derivation"
