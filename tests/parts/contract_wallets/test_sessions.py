"""Sessions of contract wallets, end to end: signing in, and what becomes of them when a contract changes its mind."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from typing import Any

import msgspec
import pytest
from flask import Flask, render_template_string
from redis import Redis
from werkzeug.test import TestResponse

from sessions_core import SessionType, events, fresh_required, public, signed_in
from sessions_core.parts.contract_wallets import contracts
from sessions_core.parts.contract_wallets.proof import PROOF, ContractProof
from sessions_core.parts.contract_wallets.rechecks import checked_at
from sessions_core.sessions.record import EndedSession, LoadedSession, SessionRecord
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ...actors import Visitor, Wallet
from ...answers import code_on_page as code_of
from ...answers import error_of
from ...constants import MINUTE
from ...evm import CHAIN, Anvil
from ...evm.contracts import ACCEPTS_ALL, KEYED, ContractWallet, creation
from ...evm.nodes import Relay
from ...snapshot import refused, unchanged
from ...stored import live_of
from ...time_machine import TimeMachine

KEY = "k3y-of-the-node"
ACTIONS = {"invoice.pay": "Pay invoice {number}.", "shop.open": "Open the shop."}


@pytest.fixture
def overrides(overrides: dict[str, Any], node: Relay) -> dict[str, Any]:
    return overrides | {
        "SESSIONS_CORE_CHAINS": ("eip155:1", CHAIN),
        "SESSIONS_CORE_RPC_URLS": {CHAIN: node.url + KEY},
        "SESSIONS_CORE_RPC_TIMEOUT_MS": 10_000,  # a busy machine may be slow
    }


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app({"actions": ACTIONS})
    app.extensions["done"] = done = []

    @app.get("/page")
    @signed_in
    def page() -> str:
        return "a page"

    @app.route("/open", methods=["GET", "POST"])
    @public
    def open_page() -> str:
        form = '{{ "yes" if current_session else "no" }} <input name="csrf_token" value="{{ csrf_token() }}">'
        return render_template_string(form)

    @app.get("/poll")
    @signed_in(keeps_alive=False)
    def poll() -> str:
        return "polled"

    @app.get("/shop")
    @fresh_required(300, "shop.open")
    def shop() -> str:
        done.append("shop")
        return "open"

    @app.post("/invoices/<number>/pay")
    @fresh_required(0, "invoice.pay")
    def pay(number: str) -> str:
        done.append(number)
        return "paid"

    return app


@pytest.fixture
def done(app: Flask) -> list[str]:
    return app.extensions["done"]


@pytest.fixture
def contract_wallet(evm: Anvil) -> ContractWallet:
    return ContractWallet(evm).deploy()


@pytest.fixture
def person(visitor: Visitor, contract_wallet: ContractWallet) -> Visitor:
    """Somebody who has signed in with a contract wallet."""
    visitor.sign_in(contract_wallet)
    return visitor


# -- Signing in --------------------------------------------------------------------------------------------------


def test_a_deployed_wallet_signs_in(
    visitor: Visitor, contract_wallet: ContractWallet, services: Services, node: Relay
) -> None:
    visitor.sign_in(contract_wallet)
    assert visitor.get("/page").get_data(as_text=True) == "a page"
    live = live_of(services, visitor)
    assert live.record.account == str(parse(contract_wallet.account()))
    proof = PROOF.of(live.record)
    assert proof.message
    assert contract_wallet.address in proof.message.lower()
    assert "0x" + proof.signature.hex() == contract_wallet.sign(proof.message)
    assert checked_at(live) == live.record.created_at
    assert (node.methods, node.connections) == (["eth_chainId", "eth_call"], 1)


def test_a_wallet_that_is_yet_to_be_deployed_signs_in(visitor: Visitor, evm: Anvil, services: Services) -> None:
    visitor.sign_in(ContractWallet(evm))
    assert visitor.get("/page").status_code == 200
    proof = PROOF.of(live_of(services, visitor).record)
    assert proof.message
    assert len(proof.signature) > 300


def test_a_key_asks_no_node_and_keeps_no_signature(
    visitor: Visitor, evm: Anvil, services: Services, node: Relay, pass_time: TimeMachine
) -> None:
    """Nor does one that has code as well (EIP-7702)."""
    wallet = Wallet()
    evm.ask("anvil_setCode", wallet.address, "0xef0100" + evm.deploy(creation(KEYED))[2:])
    node.down = True
    challenge = visitor.challenge(wallet.account(CHAIN))
    assert visitor.attempt(wallet, challenge).status_code == 303
    record = live_of(services, visitor).record
    assert PROOF.of(record) == ContractProof()
    pass_time(20 * MINUTE)
    assert visitor.get("/page").status_code == 200
    assert node.calls == []


def test_another_key_than_the_contract_s_is_refused(
    visitor: Visitor, contract_wallet: ContractWallet, redis: Redis, happened: list[events.Event]
) -> None:
    challenge = visitor.challenge(contract_wallet.account())
    signature = Wallet().sign(challenge["message"])
    with refused(redis, happened, "contract_wallet_refused", spent=1):
        response = visitor.attempt(contract_wallet, challenge, signature=signature)
    assert (response.status_code, code_of(response)) == (400, "contract_wallet_refused")
    assert not visitor.signed_in


def test_a_signature_for_one_network_is_none_for_another(
    visitor: Visitor, contract_wallet: ContractWallet, evm: Anvil
) -> None:
    challenge = visitor.challenge(contract_wallet.account("eip155:1"))
    signature = ContractWallet(evm, contract_wallet.key).sign(challenge["message"])
    response = visitor.attempt(contract_wallet, challenge, signature=signature)
    assert (response.status_code, code_of(response)) == (400, "contract_wallet_unsupported")
    page = response.get_data(as_text=True)
    assert 'data-state="contract_wallet"' in page
    assert not visitor.signed_in


def test_key_sized_signature_is_a_mismatch_without_a_node(visitor: Visitor, contract_wallet: ContractWallet) -> None:
    challenge = visitor.challenge(contract_wallet.account("eip155:1"))
    response = visitor.attempt(contract_wallet, challenge)
    assert (response.status_code, code_of(response)) == (400, "signature_mismatch")
    page = response.get_data(as_text=True)
    assert 'data-state="bad_signature"' in page
    assert "If it is a smart-contract wallet" in page


def test_unreachable_node_prevents_sign_in_with_a_reason(
    visitor: Visitor,
    contract_wallet: ContractWallet,
    node: Relay,
    redis: Redis,
    happened: list[events.Event],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The log does not hold the key in the node's URL."""
    challenge = visitor.challenge(contract_wallet.account())
    node.down = True
    caplog.set_level(logging.DEBUG)
    with refused(redis, happened, "rpc_unavailable", spent=1):
        response = visitor.attempt(contract_wallet, challenge)
    page = response.get_data(as_text=True)
    assert (response.status_code, code_of(response)) == (503, "rpc_unavailable")
    assert response.headers["Retry-After"] == "5"
    assert 'data-state="network_unreachable"' in page
    assert not visitor.signed_in
    assert "status 503" in caplog.text
    assert KEY not in caplog.text + page + repr(happened)
    node.down = False
    assert code_of(visitor.attempt(contract_wallet, challenge)) == "challenge_used"
    visitor.sign_in(contract_wallet)


def test_longest_signature_fits_form_record_and_step_up(
    visitor: Visitor, evm: Anvil, services: Services, done: list[str]
) -> None:
    class Talkative(Wallet):
        address = evm.deploy(creation(ACCEPTS_ALL))

        def sign(self, message: str) -> str:
            return "0x" + "ab" * contracts.MAX_BYTES

    wallet = Talkative()
    challenge = visitor.challenge(wallet.account(CHAIN))
    assert visitor.attempt(wallet, challenge).status_code == 303
    assert visitor.get("/page").status_code == 200
    proof = PROOF.of(live_of(services, visitor).record)
    assert proof.message
    assert len(proof.signature) == contracts.MAX_BYTES
    assert visitor.confirm(wallet, visitor.submit("/invoices/7/pay")).get_data(as_text=True) == "paid"
    assert done == ["7"]


# -- Asked again on a schedule -----------------------------------------------------------------------------------


def test_contract_is_rechecked_after_15_minutes_of_use(
    person: Visitor, node: Relay, pass_time: TimeMachine, services: Services
) -> None:
    """And not before."""
    for minutes, asked in ((0, 1), (14, 1), (0, 1), (1, 2), (0, 2), (14, 2), (1, 3), (29, 4), (0, 4)):
        pass_time(minutes * MINUTE)
        assert person.get("/page").status_code == 200
        assert node.asked == asked, minutes
    live = live_of(services, person)
    assert live.now - checked_at(live) < MINUTE * 1000


# Everything that tells somebody that the session lives, and is no activity.
ASKING = {
    "poll": ("GET", "/poll"),
    "validate": ("GET", "/api/auth/sessions/validate"),
    "keep-alive": ("POST", "/api/auth/sessions/keep-alive"),
    "token": ("POST", "/api/auth/sessions/token"),
    "list": ("GET", "/api/auth/sessions"),
    "missing page": ("GET", "/nowhere"),
}


@pytest.mark.parametrize(("method", "path"), ASKING.values(), ids=ASKING)
def test_polls_ask_the_contract_when_due(
    person: Visitor, node: Relay, pass_time: TimeMachine, method: str, path: str
) -> None:
    headers = {"X-CSRFToken": person.token("/open")}
    for minutes, asked in ((14, 1), (1, 2), (0, 2), (12, 2)):
        pass_time(minutes * MINUTE)
        assert person.json(path, method, headers=headers).status_code in (200, 201, 404)
        assert node.asked == asked, minutes


@pytest.mark.parametrize(("method", "path"), ASKING.values(), ids=ASKING)
def test_poll_notices_a_removed_owner(
    person: Visitor,
    contract_wallet: ContractWallet,
    pass_time: TimeMachine,
    services: Services,
    method: str,
    path: str,
) -> None:
    session_id, headers = person.session_id, {"X-CSRFToken": person.token("/open")}
    contract_wallet.replace_key(Wallet())
    pass_time(15 * MINUTE)
    response = person.json(path, method, headers=headers)
    if path != "/nowhere":  # that one says 404 to everybody
        assert error_of(response) == (401, "session_invalid", "wallet_revoked")
    assert services.repository.load(session_id, "never") == EndedSession("wallet_revoked")


def test_presented_token_notices_a_removed_owner(
    app: Flask, person: Visitor, contract_wallet: ContractWallet, pass_time: TimeMachine
) -> None:
    """Another service asks `validate` with the bearer that it was shown."""
    headers = {"X-CSRFToken": person.token("/open")}
    pass_time(14 * MINUTE)
    token = person.json("/api/auth/sessions/token", "POST", headers=headers).get_json()["data"]["session_token"]
    contract_wallet.replace_key(Wallet())

    def ask() -> TestResponse:
        return Visitor(app).json("/api/auth/sessions/validate", headers={"Authorization": f"Bearer {token}"})

    assert ask().status_code == 200
    pass_time(MINUTE)
    assert error_of(ask()) == (401, "session_invalid", "wallet_revoked")


@pytest.mark.parametrize("path", ["/api/auth/sessions/logout", "/api/auth/challenges"])
def test_signing_in_and_out_by_json_asks_no_node(
    person: Visitor, contract_wallet: ContractWallet, node: Relay, pass_time: TimeMachine, path: str
) -> None:
    headers = {"X-CSRFToken": person.token("/open")}
    pass_time(16 * MINUTE)
    body = {"account": contract_wallet.account()} if path.endswith("challenges") else {}
    assert person.json(path, "POST", json=body, headers=headers).status_code in (200, 201)
    assert node.asked == 1


def test_session_ends_when_the_wallet_rejects_its_signature(
    person: Visitor,
    contract_wallet: ContractWallet,
    pass_time: TimeMachine,
    services: Services,
    happened: list[events.Event],
) -> None:
    """The key of the wallet was replaced."""
    handle, session_id = live_of(services, person).record.handle, person.session_id
    contract_wallet.replace_key(Wallet())
    assert person.get("/page").status_code == 200  # nobody told us
    pass_time(15 * MINUTE)
    happened.clear()
    response = person.get("/page")
    assert (response.status_code, response.headers["Location"]) == (303, "/sign-in?next=/page&reason=wallet_revoked")
    account = str(parse(contract_wallet.account()))
    assert happened == [events.SessionEnded(handle=handle, account=account, reason="wallet_revoked")]
    assert services.repository.load(session_id, "never") == EndedSession("wallet_revoked")
    assert error_of(person.json("/page")) == (401, "session_invalid", "wallet_revoked")
    page = person.get(response.headers["Location"]).get_data(as_text=True)
    assert "Your wallet no longer accepts your signature" in page
    person.sign_in(contract_wallet)
    assert person.get("/page").status_code == 200


def test_sign_in_again_offers_the_same_session_type(
    make_app: Callable[..., Flask], contract_wallet: ContractWallet, pass_time: TimeMachine
) -> None:
    kiosk = SessionType("kiosk", "kiosk_", idle_seconds=1800, absolute_seconds=3600, permissions=())
    person = Visitor(make_app({"session_types": [kiosk]}))
    person.sign_in(contract_wallet, session_type="kiosk")
    contract_wallet.replace_key(Wallet())
    pass_time(15 * MINUTE)
    location = person.get("/session").headers["Location"]
    assert location == "/sign-in?next=/session&session_type=kiosk&reason=wallet_revoked"


def test_the_request_that_finds_out_gets_nothing_of_the_session(
    person: Visitor, contract_wallet: ContractWallet, pass_time: TimeMachine, redis: Redis
) -> None:
    contract_wallet.replace_key(Wallet())
    pass_time(15 * MINUTE)
    response = person.get("/open")
    assert (response.status_code, response.get_data(as_text=True)[:3]) == (200, "no ")
    assert response.headers.getlist("Set-Cookie") == []
    # The page is a visitor's in all respects: its form works.
    token = response.get_data(as_text=True).partition('value="')[2].partition('"')[0]
    assert person.post("/open", data={"csrf_token": token}).status_code == 200
    assert not person.signed_in


def test_only_the_session_with_the_rejected_signature_ends(
    app: Flask, person: Visitor, contract_wallet: ContractWallet, pass_time: TimeMachine
) -> None:
    contract_wallet.replace_key(Wallet())
    other = Visitor(app)
    other.sign_in(contract_wallet)
    pass_time(15 * MINUTE)
    assert person.get("/page").status_code == 303
    assert other.get("/page").status_code == 200


def test_wallet_deployed_with_another_key_ends_the_session(
    visitor: Visitor, evm: Anvil, pass_time: TimeMachine
) -> None:
    wallet = ContractWallet(evm)
    visitor.sign_in(wallet)
    pass_time(15 * MINUTE)
    assert visitor.get("/page").status_code == 200
    wallet.deploy()
    pass_time(15 * MINUTE)
    assert visitor.get("/page").status_code == 200
    wallet.replace_key(Wallet())
    pass_time(15 * MINUTE)
    assert error_of(visitor.json("/page")) == (401, "session_invalid", "wallet_revoked")


def test_unreachable_node_ends_no_session_and_is_retried(
    person: Visitor,
    contract_wallet: ContractWallet,
    node: Relay,
    pass_time: TimeMachine,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The server tries again after a minute."""
    contract_wallet.replace_key(Wallet())
    pass_time(15 * MINUTE)
    node.down = True
    for seconds, tried in ((0, 1), (0, 1), (50, 1), (11, 2), (0, 2), (61, 3)):
        pass_time(seconds)
        assert person.get("/page").status_code == 200
        assert node.methods.count("eth_chainId") == 1 + tried, seconds
    assert caplog.text.count("could not be asked") == 3
    node.down = False
    assert person.get("/page").status_code == 200
    pass_time(61)
    assert person.get("/page").status_code == 303


def test_a_slow_node_holds_up_one_request_and_the_others_go_on(
    app: Flask, person: Visitor, node: Relay, pass_time: TimeMachine
) -> None:
    pass_time(15 * MINUTE)

    def request() -> int:
        client = app.test_client()
        client.set_cookie("__Host-session", person.session_id, domain="localhost", secure=True)
        return client.get("/page", base_url=Visitor.site).status_code

    with ThreadPoolExecutor(8) as pool:
        node.gate.clear()
        requests = [pool.submit(request) for _ in range(8)]
        assert [each.result() for each in islice(as_completed(requests), 7)] == [200] * 7
        assert [each.done() for each in requests].count(False) == 1
        node.gate.set()
    assert [each.result() for each in requests] == [200] * 8
    assert node.methods == ["eth_chainId", "eth_call"] * 2  # at the sign-in, and once by all of them


def test_removed_rpc_url_ends_no_session(
    make_app: Callable[..., Flask], person: Visitor, pass_time: TimeMachine
) -> None:
    app = make_app({"actions": ACTIONS}, SESSIONS_CORE_RPC_URLS={})
    pass_time(15 * MINUTE)
    elsewhere = Visitor(app)
    elsewhere.client.set_cookie("__Host-session", person.session_id, domain="localhost", secure=True)
    assert elsewhere.get("/session").status_code == 200


def test_a_session_that_moved_to_a_new_id_meanwhile_ends_as_well(
    person: Visitor,
    contract_wallet: ContractWallet,
    pass_time: TimeMachine,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    accepts = contracts.Contracts.accepts
    moved: list[LoadedSession | EndedSession] = []

    def slowly(*arguments: Any) -> bool:
        moved.append(services.lifecycle.rotate(live_of(services, person)))
        return accepts(*arguments)

    contract_wallet.replace_key(Wallet())
    pass_time(15 * MINUTE)
    monkeypatch.setattr(contracts.Contracts, "accepts", slowly)
    assert error_of(person.json("/page")) == (401, "session_invalid", "wallet_revoked")
    assert isinstance(moved[0], LoadedSession)
    assert services.repository.load(moved[0].id, "never") == EndedSession("wallet_revoked")


def test_clock_set_back_does_not_postpone_the_recheck(
    person: Visitor, node: Relay, services: Services, pass_time: TimeMachine
) -> None:
    live = live_of(services, person)
    PROOF.put(live.record, msgspec.structs.replace(PROOF.of(live.record), checked_at=live.now + 3_600_000))
    services.repository.save(live)
    person.get("/page")
    assert node.asked == 2


def test_the_proof_outlives_a_new_id_and_a_new_secret(
    make_app: Callable[..., Flask], person: Visitor, services: Services, overrides: dict[str, Any]
) -> None:
    before = live_of(services, person).record
    moved = services.lifecycle.rotate(live_of(services, person))
    assert isinstance(moved, LoadedSession)
    rotated: Services = make_app(
        SECRET_KEY="b2VhZ3Vlc3Mgd2hhdCBpdCBpcyBub3QgdGhpcw", SECRET_KEY_FALLBACKS=[overrides["SECRET_KEY"]]
    ).extensions["sessions_core"]
    assert rotated.sweeper.sweep()["resealed"] == 1
    after = rotated.repository.load(moved.id, "never")
    assert isinstance(after, LoadedSession)
    assert PROOF.of(after.record) == PROOF.of(before)
    assert PROOF.of(before).message


def test_a_record_from_before_there_were_proofs_still_opens() -> None:
    assert PROOF.of(SessionRecord(data={})) == ContractProof()
    older = msgspec.Raw(msgspec.msgpack.encode(["text", b"signature"]))
    assert PROOF.of(SessionRecord(data={}, sections={PROOF.name: older})) == ContractProof(
        message="text", signature=b"signature"
    )


def test_signing_out_needs_no_node(person: Visitor, node: Relay, pass_time: TimeMachine) -> None:
    pass_time(15 * MINUTE)
    node.down = True
    assert person.sign_out().status_code == 303
    assert not person.signed_in


# -- Step-up -----------------------------------------------------------------------------------------------------


def test_fresh_sign_in_needs_the_contracts_current_consent(
    person: Visitor, contract_wallet: ContractWallet, node: Relay, done: list[str], redis: Redis
) -> None:
    assert person.get("/shop").get_data(as_text=True) == "open"
    assert node.asked == 2
    contract_wallet.replace_key(Wallet())
    assert error_of(person.json("/shop")) == (401, "session_invalid", "wallet_revoked")
    assert done == ["shop"]
    assert not person.signed_in


def test_without_a_node_a_fresh_sign_in_does_not_count(person: Visitor, node: Relay, done: list[str]) -> None:
    """The session itself goes on."""
    node.down = True
    answer = person.json("/shop")
    assert error_of(answer) == (503, "rpc_unavailable", None)
    assert answer.headers["Retry-After"] == "5"
    assert 'data-code="rpc_unavailable"' in person.get("/shop").get_data(as_text=True)
    assert done == []
    assert person.get("/page").status_code == 200
    node.down = False
    assert person.get("/shop").status_code == 200


def test_contract_is_asked_once_in_a_request_that_is_due(
    person: Visitor, node: Relay, pass_time: TimeMachine, services: Services
) -> None:
    pass_time(4 * MINUTE)
    live = live_of(services, person)
    long_ago = checked_at(live) - 3_600_000
    PROOF.put(live.record, msgspec.structs.replace(PROOF.of(live.record), checked_at=long_ago))
    services.repository.save(live)
    assert person.get("/shop").status_code == 200
    assert node.asked == 2


def test_the_contract_signs_for_an_action(
    person: Visitor, contract_wallet: ContractWallet, services: Services, done: list[str], pass_time: TimeMachine
) -> None:
    pass_time(10 * MINUTE)
    assert person.confirm(contract_wallet, person.submit("/invoices/7/pay")).get_data(as_text=True) == "paid"
    assert done == ["7"]
    live = live_of(services, person)
    assert "Pay invoice 7." in PROOF.of(live.record).message
    assert live.now - checked_at(live) < MINUTE * 1000


def test_step_up_by_a_new_key_replaces_the_checked_signature(
    person: Visitor, contract_wallet: ContractWallet, pass_time: TimeMachine
) -> None:
    """Later checks ask the contract about the newer signature."""
    contract_wallet.replace_key(Wallet())
    person.confirm(contract_wallet, person.submit("/invoices/7/pay"))
    pass_time(15 * MINUTE)
    assert person.get("/page").status_code == 200
    contract_wallet.replace_key(Wallet())
    pass_time(15 * MINUTE)
    assert person.get("/page").status_code == 303


@pytest.mark.parametrize(
    ("down", "problem", "words"),
    [
        (False, "contract_wallet_refused", "refused the signature"),
        (True, "rpc_unavailable", "reach your wallet"),
    ],
)
def test_refused_or_unchecked_signature_confirms_nothing(
    person: Visitor,
    contract_wallet: ContractWallet,
    node: Relay,
    done: list[str],
    down: bool,
    problem: str,
    words: str,
) -> None:
    asked = person.submit("/invoices/7/pay")
    target, form = person.signed_form(Wallet(), asked)
    node.down = down
    again = person.post(target, data=form)
    assert again.status_code == 303
    page = person.get(again.headers["Location"]).get_data(as_text=True)
    assert f'data-code="{problem}"' in page
    assert words in page
    assert done == []
    node.down = False
    assert person.confirm(contract_wallet, again).get_data(as_text=True) == "paid"


def test_json_client_is_told_the_problem_with_its_proof(
    person: Visitor, contract_wallet: ContractWallet, node: Relay, done: list[str]
) -> None:
    refusal = person.send("POST", "/invoices/7/pay")
    headers = person.proof(contract_wallet, refusal)
    node.down = True
    again = person.send("POST", "/invoices/7/pay", headers=headers)
    assert error_of(again) == (403, "step_up_required", "invoice.pay")
    assert again.get_json()["error"]["problem"] == "rpc_unavailable"
    node.down = False
    paid = person.send("POST", "/invoices/7/pay", headers=person.proof(contract_wallet, again))
    assert paid.get_data(as_text=True) == "paid"


def test_a_session_of_a_key_is_never_asked_about_in_a_step_up(
    visitor: Visitor, wallet: Wallet, node: Relay, done: list[str]
) -> None:
    visitor.sign_in(wallet)
    assert visitor.get("/shop").status_code == 200
    visitor.confirm(wallet, visitor.submit("/invoices/7/pay"))
    assert done == ["shop", "7"]
    assert node.calls == []


def test_nothing_is_written_for_a_session_that_is_not_due(person: Visitor, redis: Redis) -> None:
    person.get("/page")
    with unchanged(redis):
        person.get("/page")
