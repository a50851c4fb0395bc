"""Trial wallets: a key in two halves, each worth nothing, and together it signs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from eth_account import Account as Signer
from eth_account.messages import encode_defunct
from flask import Flask
from redis import Redis

from sessions_core import events
from sessions_core.errors import SessionsError, StoreUnavailable
from sessions_core.parts.trial_wallets import TrialWallets, key_shares
from sessions_core.parts.trial_wallets.errors import KeyShareMismatch
from sessions_core.parts.trial_wallets.events import WalletDeleted
from sessions_core.parts.trial_wallets.key_shares import KeyShares, Made
from sessions_core.sign_in.accounts import Account, parse
from sessions_core.sign_in.curves import SECP256K1_ORDER
from sessions_core.sign_in.verifiers import verify
from sessions_core.web.services import Services

from ...constants import ANOTHER, DAY, MINUTE
from ...logs import everything_logged
from ...snapshot import unchanged
from ...time_machine import TimeMachine

TEXT = "A text of ours,\nin two lines."


@pytest.fixture
def wallets(services: Services) -> KeyShares:
    return services.part(TrialWallets).key_shares


@pytest.fixture
def made(wallets: KeyShares) -> Made:
    return wallets.create()


def key_of(redis: Redis) -> bytes:
    [key] = redis.keys("*:share")
    return key


def lives(redis: Redis) -> float:
    """How long the server keeps the share, in seconds."""
    return redis.pttl(key_of(redis)) / 1000


def refused(attempt: Callable[[], object]) -> SessionsError:
    with pytest.raises(SessionsError) as caught:
        attempt()
    return caught.value


# -- Making --------------------------------------------------------------------------------------------------------


def test_two_key_shares_make_the_key_of_the_account(wallets: KeyShares, made: Made) -> None:
    key = bytes(a ^ b for a, b in zip(made.key_share, wallets.reveal(made.account), strict=True))
    assert Signer.from_key(key).address == made.account.address


def test_the_account_is_on_the_first_testnet(made: Made) -> None:
    assert made.account.chain.id == "eip155:11155111"
    assert parse(str(made.account)) == made.account


def test_without_a_testnet_it_is_on_the_first_chain_of_ethereum(make_app: Callable[..., Flask]) -> None:
    app = make_app(SESSIONS_CORE_CHAINS=["solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "eip155:10", "eip155:1"])
    assert app.extensions["sessions_core"].part(TrialWallets).key_shares.create().account.chain.id == "eip155:10"


def test_key_shares_differ_from_each_other_and_the_key(wallets: KeyShares) -> None:
    seen: set[bytes] = set()
    for _ in range(20):
        account, theirs = wallets.create()
        ours = wallets.reveal(account)
        seen |= {ours, theirs, bytes(a ^ b for a, b in zip(ours, theirs, strict=True))}
    assert len(seen) == 60
    assert all(len(each) == 32 for each in seen)


@pytest.mark.parametrize("number", [0, SECP256K1_ORDER, 2**256 - 1], ids=["zero", "the order", "the largest"])
def test_invalid_private_key_is_never_issued(
    wallets: KeyShares, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    drawn = [bytes(32), number.to_bytes(32), bytes(32), (7).to_bytes(32)]
    monkeypatch.setattr(key_shares.secrets, "token_bytes", lambda length: drawn.pop(0))
    assert wallets.create().account.address == Signer.from_key((7).to_bytes(32)).address
    assert drawn == []


def test_unused_trial_wallet_is_deleted_after_ten_minutes(
    wallets: KeyShares, made: Made, redis: Redis, pass_time: TimeMachine
) -> None:
    assert 9 * MINUTE < lives(redis) <= 10 * MINUTE
    pass_time(601)
    assert not wallets.holds(made.account)
    assert redis.dbsize() == 0


def test_a_thousand_unused_key_shares_cost_little_memory(wallets: KeyShares, redis: Redis) -> None:
    """They are gone after ten minutes."""
    wallets.create()
    before = redis.info("memory")["used_memory"]
    for _ in range(1000):
        wallets.create()
    assert redis.info("memory")["used_memory"] - before < 400 * 1000
    assert all(0 < redis.ttl(key) <= 600 for key in redis.keys("*"))


def test_redis_holds_no_plain_key_share_or_key(wallets: KeyShares, made: Made, redis: Redis) -> None:
    ours = wallets.reveal(made.account)
    key = bytes(a ^ b for a, b in zip(ours, made.key_share, strict=True))
    [name] = redis.keys("*")
    stored = name + redis.get(name)
    for secret in (ours, made.key_share, key):
        assert secret not in stored
        assert secret.hex().encode() not in stored
    assert made.account.address.encode() not in stored


# -- Signing -------------------------------------------------------------------------------------------------------


def test_both_shares_sign_as_any_wallet_does(wallets: KeyShares, made: Made) -> None:
    signature = wallets.sign(made.account, made.key_share, TEXT)
    verify(made.account, TEXT, signature, 0.0)
    key = bytes(a ^ b for a, b in zip(made.key_share, wallets.reveal(made.account), strict=True))
    assert signature == "0x" + bytes(Signer.sign_message(encode_defunct(text=TEXT), key).signature).hex()


def test_a_signature_keeps_the_wallet_for_thirty_days_more(
    wallets: KeyShares, made: Made, redis: Redis, pass_time: TimeMachine
) -> None:
    wallets.sign(made.account, made.key_share, TEXT)
    assert 30 * DAY - 5 < lives(redis) <= 30 * DAY
    pass_time(29 * DAY)
    wallets.sign(made.account, made.key_share, TEXT)
    assert lives(redis) > 29 * DAY
    pass_time(30 * DAY + 1)
    assert not wallets.holds(made.account)


@pytest.mark.parametrize("bit", range(0, 256, 17))
def test_key_share_with_a_flipped_bit_signs_nothing(wallets: KeyShares, made: Made, redis: Redis, bit: int) -> None:
    """And it extends no lifetime."""
    other = (int.from_bytes(made.key_share) ^ (1 << bit)).to_bytes(32)
    with unchanged(redis):
        assert type(refused(lambda: wallets.sign(made.account, other, TEXT))) is KeyShareMismatch
    wallets.sign(made.account, made.key_share, TEXT)


def test_servers_key_share_does_not_replace_the_users(wallets: KeyShares, made: Made) -> None:
    ours = wallets.reveal(made.account)
    for guess in (ours, bytes(32), b"\xff" * 32, bytes(a ^ b for a, b in zip(ours, made.key_share, strict=True))):
        assert refused(lambda guess=guess: wallets.sign(made.account, guess, TEXT)).args == (
            "not the key of the account",
        )


def test_key_of_an_outside_wallet_is_no_key_share(wallets: KeyShares) -> None:
    """The wallet was not made here."""
    key = Signer.create()
    account = parse(f"eip155:1:{key.address}")
    error = refused(lambda: wallets.sign(account, bytes(key.key), TEXT))
    assert error.args == ("not the key of the account",)


def test_missing_and_wrong_key_shares_give_the_same_error(wallets: KeyShares, made: Made) -> None:
    wrong = refused(lambda: wallets.sign(made.account, bytes(32), TEXT))
    wallets.forget(made.account)
    gone = refused(lambda: wallets.sign(made.account, made.key_share, TEXT))
    assert (type(gone), gone.args) == (type(wrong), wrong.args) == (KeyShareMismatch, ("not the key of the account",))


def test_the_share_of_one_wallet_signs_for_no_other(wallets: KeyShares, made: Made) -> None:
    assert type(refused(lambda: wallets.sign(wallets.create().account, made.key_share, TEXT))) is KeyShareMismatch


def test_encrypted_share_copied_to_another_account_is_void(wallets: KeyShares, made: Made, redis: Redis) -> None:
    source = key_of(redis)
    other = wallets.create().account
    [target] = [key for key in redis.keys("*:share") if key != source]
    redis.copy(source, target, replace=True)
    assert type(refused(lambda: wallets.sign(other, made.key_share, TEXT))) is StoreUnavailable


def test_a_wallet_deleted_while_it_signs_has_signed_nothing(
    wallets: KeyShares, made: Made, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = wallets._read

    def read_then_deleted(account: Account) -> bytes | None:
        share = read(account)
        redis.delete(key_of(redis))
        return share

    monkeypatch.setattr(wallets, "_read", read_then_deleted)
    assert type(refused(lambda: wallets.sign(made.account, made.key_share, TEXT))) is KeyShareMismatch


def test_key_share_and_key_are_in_no_log_event_or_error(
    wallets: KeyShares, redis: Redis, happened: list[events.Event]
) -> None:
    """Not even where libraries quote what they refuse: a key of zero, and one over the order."""
    said: list[str] = []
    with everything_logged() as logged:
        made = wallets.create()
        ours = wallets.reveal(made.account)
        over = bytes(a ^ 0xFF for a in ours)
        for share in (ours, over, bytes(32), made.key_share):
            try:
                said.append(wallets.sign(made.account, share, TEXT))
            except SessionsError as error:
                said.append(repr(error) + repr(error.__context__) + repr(error.__cause__))
        wallets.forget(made.account)
        said.append(repr(refused(lambda: wallets.sign(made.account, made.key_share, TEXT))))
        said.append(repr(wallets))
    key = bytes(a ^ b for a, b in zip(ours, made.key_share, strict=True))
    everything = "\n".join([*logged, *said, repr(happened)])
    for secret in (ours, made.key_share, over, key):
        for form in (secret.hex(), repr(secret), str(int.from_bytes(secret))):
            assert form not in everything


# -- Forgetting, and rotating the secret ---------------------------------------------------------------------------


def test_a_forgotten_wallet_is_gone_and_forgetting_twice_is_fine(
    wallets: KeyShares, made: Made, redis: Redis, happened: list[events.Event]
) -> None:
    happened.clear()
    assert wallets.forget(made.account)
    assert redis.keys("*:share") == []
    assert not wallets.forget(made.account)
    assert happened == [WalletDeleted(account=str(made.account))]
    assert type(refused(lambda: wallets.reveal(made.account))) is KeyShareMismatch


def test_a_share_of_a_secret_that_is_missing_here_is_no_mismatch(
    make_app: Callable[..., Flask], made: Made, redis: Redis, happened: list[events.Event]
) -> None:
    """Or people would throw away a half that is good again once the secret is back."""
    elsewhere: KeyShares = make_app(SECRET_KEY=ANOTHER).extensions["sessions_core"].part(TrialWallets).key_shares
    with unchanged(redis):
        assert type(refused(lambda: elsewhere.sign(made.account, made.key_share, TEXT))) is StoreUnavailable
    assert happened[-1].name == "session.unreadable"


def test_a_rotation_of_the_secret_keeps_every_wallet(
    make_app: Callable[..., Flask], services: Services, made: Made, redis: Redis
) -> None:
    services.part(TrialWallets).key_shares.sign(made.account, made.key_share, TEXT)
    left, before = lives(redis), redis.get(key_of(redis))
    both: Services = make_app(SECRET_KEY=ANOTHER, SECRET_KEY_FALLBACKS=[services.settings.secrets[-1]]).extensions[
        "sessions_core"
    ]
    assert both.part(TrialWallets).key_shares.reencrypt() == 1
    assert both.part(TrialWallets).key_shares.reencrypt() == 0
    assert redis.get(key_of(redis)) != before
    assert left - 5 < lives(redis) <= left
    after: Services = make_app(SECRET_KEY=ANOTHER).extensions["sessions_core"]
    verify(made.account, TEXT, after.part(TrialWallets).key_shares.sign(made.account, made.key_share, TEXT), 0.0)


def test_a_sweep_leaves_a_share_alone_that_it_can_t_open(
    make_app: Callable[..., Flask], made: Made, redis: Redis
) -> None:
    elsewhere: Services = make_app(SECRET_KEY=ANOTHER).extensions["sessions_core"]
    with unchanged(redis):
        assert elsewhere.part(TrialWallets).key_shares.reencrypt() == 0
