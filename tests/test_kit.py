"""The kit for tests of applications: wallets of every chain, sign-in on any test client, what users do elsewhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import flask_login
import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from redis import Redis

import sessions_core.testing
from sessions_core import WalletSessions, current_account, public, requires, signed_in
from sessions_core.access.policy import SessionType
from sessions_core.sign_in import verifiers
from sessions_core.sign_in.accounts import parse
from sessions_core.testing import (
    KitError,
    TestWallet,
    config,
    csrf,
    errors,
    expire,
    make_admin,
    reset,
    revoke,
    session_of,
    sign_in,
    signers,
    visitor_session,
)

from .constants import ROOT, SECRET
from .documented import table
from .signers import ICP, SOLANA, SOLANA_DEVNET, EthereumSigner, IcpSigner, SolanaSigner, StacksSigner

CHAINS = ["eip155:1", "eip155:137", "stacks:1", "stacks:2147483648", SOLANA, SOLANA_DEVNET, ICP]
PREFIX = "kit:"


@pytest.fixture
def make(redis: Redis, redis_url: str) -> Any:
    """Make an application as an adopter does, with the kit's configuration."""
    made: list[Flask] = []

    def make(client_class: type[FlaskClient] | None = None, settings: Any = None, **seams: Any) -> Flask:
        app = Flask("tests.parts")  # a folder without templates
        app.config.update(config(redis_url, PREFIX, **(settings or {})))
        WalletSessions(app, **seams)
        app.test_client_class = client_class
        app.add_url_rule("/me", "me", signed_in(lambda: str(current_account)))
        app.add_url_rule("/staff", "staff", requires(role="admin")(lambda: "staff"))
        app.add_url_rule("/note", "note", public(note), methods=["GET", "POST"])
        made.append(app)
        return app

    yield make
    for app in made:
        app.extensions["sessions_core"].connection.close()


def note() -> str:
    session["notes"] = session.get("notes", 0) + 1
    return str(session["notes"])


@pytest.fixture
def app(make: Callable[..., Flask]) -> Flask:
    return make()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


# -- Wallets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chain", CHAINS)
def test_wallet_of_each_chain_signs_in(client: FlaskClient, chain: str) -> None:
    wallet = TestWallet(chain)
    found = sign_in(client, wallet)
    assert client.get("/me").text == found.account == wallet.account
    assert wallet.account == str(parse(wallet.account))


def test_there_is_a_wallet_for_every_kind_of_account() -> None:
    assert signers.SIGNERS.keys() == verifiers._VERIFIERS.keys()
    assert {TestWallet(kind).chain for kind in signers.SIGNERS} == {"eip155:1", "stacks:1", SOLANA, ICP}


@pytest.mark.parametrize(
    ("chain", "signer"), [("eip155:1", EthereumSigner), ("stacks:1", StacksSigner), (SOLANA, SolanaSigner)]
)
def test_wallet_signs_like_the_library_of_its_chain(chain: str, signer: Any) -> None:
    wallet = TestWallet(chain, seed=7)
    other = signer(wallet.key.hex())
    assert wallet.account == other.account(chain)
    for text in ("a text", "a" * 300, "é\n"):
        assert wallet.sign(text) == other.sign(text)


def test_wallet_of_a_principal_signs_like_the_library() -> None:
    wallet = TestWallet(ICP, seed=7)
    other = IcpSigner(("ed25519",), keys=(wallet.key.hex(),))
    assert (wallet.account, wallet.sign("a text")) == (other.account(), other.sign("a text"))


def test_seed_decides_the_key() -> None:
    assert TestWallet(seed="alice").address == TestWallet(seed="alice").address
    assert len({TestWallet(seed=each).address for each in ("", "alice", 1, 2)}) == 4
    # Written down, so that what adopters store of one run is right in the next.
    assert TestWallet().address == "0x49F30daD96394f356bd98D212072D2A348887947"
    assert "alice" in repr(TestWallet(seed="alice"))


def test_wallet_keeps_its_key_on_another_network() -> None:
    wallet = TestWallet("eip155:1", seed=3)
    assert wallet.on("eip155:137").account == f"eip155:137:{wallet.address}"


@pytest.mark.parametrize("chain", ["", "dogecoin:1", "eip155:x", "eip155:0", "solana:1", "stacks:2", "eip155:1:0xab"])
def test_unknown_chain_is_refused_with_those_there_are(chain: str) -> None:
    with pytest.raises(errors.ChainUnknown, match="'eip155', 'stacks', 'solana', 'icp'"):
        TestWallet(chain)


@pytest.mark.parametrize(
    ("chain", "module", "said"),
    [
        ("eip155", "eth_account", "needs eth_account: run pip install 'sessions-core[ethereum]'"),
        ("solana", "nacl", "needs nacl: run pip install 'sessions-core[solana]'"),
        ("stacks", "eth_keys", "needs eth_keys: run pip install 'sessions-core[stacks]'"),
        ("icp", "nacl", "needs nacl: run pip install 'sessions-core[internet-computer]'"),
        ("stacks", "sessions_core.parts.stacks", "needs the part 'stacks'"),
        ("icp", "sessions_core.parts.internet_computer", "needs the part 'internet_computer'"),
    ],
)
def test_wallet_names_what_is_missing(chain: str, module: str, said: str) -> None:
    """In a process of its own, in which that module can't be imported, nor what is in it."""
    program = (
        "import sys\n"
        f"class Missing:\n    def find_spec(self, name, *_):\n        if name.split('.')[0] == {module!r} or name == "
        f"{module!r}: raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "from sessions_core.testing import TestWallet, errors\n"
        f"try:\n    TestWallet({chain!r})\nexcept errors.KitError as error:\n    print(error.code, error)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert said in run.stdout, run.stderr


# -- Signing in ----------------------------------------------------------------------------------------------


def test_program_signs_in_with_a_token(app: Flask, client: FlaskClient) -> None:
    wallet = TestWallet()
    sign_in(client, TestWallet("solana"))
    found = sign_in(client, wallet, bearer=True)
    assert client.get("/me").text == wallet.account
    assert client.get_cookie("__Host-session") is None
    assert found.token
    assert found.refresh_token
    assert app.test_client().get("/me").status_code != 200
    assert session_of(client).handle == found.handle
    assert csrf(client) == ""
    revoke(found)
    assert client.get("/me").status_code == 401
    sign_in(client, TestWallet("solana"))
    assert client.get("/me").text == TestWallet("solana").account


def test_bearer_without_its_part_is_refused(make: Callable[..., Flask]) -> None:
    client = make(parts=["ethereum"]).test_client()
    sign_in(client, TestWallet())
    with pytest.raises(errors.PartMissing, match="'api'"):
        sign_in(client, TestWallet(), bearer=True)


def test_sign_in_takes_what_a_user_may_choose(client: FlaskClient) -> None:
    wanted = {"duration": 600, "permissions": ["read:profile"], "remember": True}
    found = sign_in(client, TestWallet(), "standard", **wanted)
    live = found.load()
    assert live is not None
    assert live.record.session_type == "standard"
    assert live.record.remember
    assert live.record.narrowed is not None
    assert live.absolute_expires_at - live.record.created_at == 600_000
    cookie = client.get_cookie("__Host-session")
    assert cookie
    assert cookie.max_age or cookie.expires


@pytest.mark.parametrize("bearer", [False, True])
def test_sign_in_asks_for_a_session_type(make: Callable[..., Flask], bearer: bool) -> None:
    client = make(session_types=[SessionType("kiosk", "kiosk_", 300, 600, ("read:profile",))]).test_client()
    found = sign_in(client, TestWallet(), session_type="kiosk", bearer=bearer)
    assert found.handle.startswith("kiosk_")


def test_refused_sign_in_says_code_and_sentence(make: Callable[..., Flask]) -> None:
    client = make(settings={"SESSIONS_CORE_CHAINS": ("eip155:1",)}).test_client()
    for bearer in (False, True):
        with pytest.raises(errors.SignInFailed, match=r"chain_unsupported\. .*network"):
            sign_in(client, TestWallet("eip155:137"), bearer=bearer)
        with pytest.raises(errors.SignInFailed, match=r"permission_denied\. "):
            sign_in(client, TestWallet(), session_type="professional", bearer=bearer)


def test_signing_in_again_replaces_the_session(client: FlaskClient) -> None:
    first = sign_in(client, TestWallet())
    second = sign_in(client, TestWallet(seed=2))
    assert (first.end_reason, second.end_reason) == ("replaced", None)
    assert "sess_" in repr(second)


def test_client_at_a_prefix_signs_in(make: Callable[..., Flask]) -> None:
    client = make(settings={"SESSIONS_CORE_URL_PREFIX": "/account"}).test_client()
    sign_in(client, TestWallet())
    assert client.get("/me").status_code == 200


def test_csrf_token_is_that_of_the_client(client: FlaskClient) -> None:
    for _ in range(2):  # a visitor, then a user
        assert client.post("/note").status_code == 400
        assert client.post("/note", data={"csrf_token": csrf(client)}).status_code == 200
        assert client.post("/note", headers={"X-CSRFToken": csrf(client)}).status_code == 200
        sign_in(client, TestWallet())


def test_session_transaction_reads_and_writes(client: FlaskClient) -> None:
    for _ in range(2):  # a visitor, then a user
        with client.session_transaction() as data:
            data["notes"] = 41
        assert client.get("/note").text == "42"
        with client.session_transaction() as data:
            assert data["notes"] == 42
        sign_in(client, TestWallet())


def test_client_that_is_not_signed_in_is_refused(client: FlaskClient) -> None:
    with pytest.raises(errors.NotSignedIn, match="Call sign_in"):
        session_of(client)
    found = sign_in(client, TestWallet())
    revoke(found)
    with pytest.raises(errors.NotSignedIn, match="revoked"):
        session_of(client)


def test_session_of_a_visitor_is_that_of_its_client(client: FlaskClient) -> None:
    with pytest.raises(KitError) as refusal:
        visitor_session(client)
    assert refusal.value.code == "testing_not_signed_in"
    client.get("/note")
    found = visitor_session(client)
    assert (found.account, found.end_reason) == ("", None)
    expire(found)
    assert (found.load(), found.end_reason) == (None, "unknown")
    client.get("/note")
    found = visitor_session(client)
    revoke(found)
    assert found.load() is None
    sign_in(client, TestWallet())
    with pytest.raises(KitError):
        visitor_session(client)


def test_test_client_of_flask_login_signs_in(make: Callable[..., Flask]) -> None:
    """Its user is that of the other login, until a wallet signs in."""

    class User(flask_login.UserMixin):
        def __init__(self, id: str) -> None:
            self.id = id

    app = make(flask_login.FlaskLoginClient, user_for=lambda account: User(f"of {account.address}"))
    flask_login.LoginManager(app).user_loader(User)
    app.add_url_rule("/name", "name", public(lambda: getattr(flask_login.current_user, "id", "nobody")))
    with app.test_client(user=User("with a password")) as client:
        assert client.get("/name").text == "with a password"
        sign_in(client, TestWallet())
        assert client.get("/name").text == f"of {TestWallet().address}"
    assert app.test_client().get("/name").text == "nobody"


# -- What happens elsewhere ----------------------------------------------------------------------------------


def test_revoked_session_is_over_at_once(client: FlaskClient) -> None:
    found = sign_in(client, TestWallet())
    revoke(found)
    assert (client.get("/me").status_code, found.end_reason) == (303, "revoked")
    revoke(found)  # has no effect
    assert found.end_reason == "revoked"


def test_admin_has_the_role_from_the_next_request_on(client: FlaskClient) -> None:
    found = sign_in(client, TestWallet())
    json = {"Accept": "application/json"}
    assert client.get("/staff", headers=json).status_code == 403
    make_admin(found)
    assert client.get("/staff").text == "staff"
    assert found.end_reason is None
    make_admin(found, role="member")
    assert client.get("/staff", headers=json).status_code == 403


@pytest.mark.parametrize("seams", [{"parts": ["ethereum"]}, {"role_for": lambda account: "member"}])
def test_make_admin_says_who_decides_about_roles(make: Callable[..., Flask], seams: dict[str, Any]) -> None:
    found = sign_in(make(**seams).test_client(), TestWallet())
    with pytest.raises(errors.PartMissing, match="role_for"):
        make_admin(found)


def test_reset_deletes_what_the_application_stored(app: Flask, client: FlaskClient, redis: Redis) -> None:
    redis.set("kat:other", 1)
    found = sign_in(client, TestWallet())
    assert redis.keys(f"{PREFIX}*")
    reset(app)
    assert [key for key in redis.keys("*") if not key.startswith(b"sessions_core:")] == [b"kat:other"]
    assert found.end_reason == "unknown"
    assert client.get("/me").status_code == 303
    sign_in(client, TestWallet())


# -- Never in production -------------------------------------------------------------------------------------


def test_production_is_refused_by_every_function(make_app: Callable[..., Flask], redis_url: str) -> None:
    app = make_app(
        SESSIONS_CORE_DEVELOPMENT=False,
        SESSIONS_CORE_PUBLIC_ORIGIN="https://app.example.org",
        SESSIONS_CORE_REDIS_CHECK=False,
    )
    client = app.test_client()
    found = sessions_core.testing.TestSession(app, TestWallet().account, "sess_" + "0" * 16)
    calls: dict[str, Callable[[], object]] = {
        "sign_in": lambda: sign_in(client, TestWallet()),
        "session_of": lambda: session_of(client),
        "visitor_session": lambda: visitor_session(client),
        "csrf": lambda: csrf(client),
        "age": lambda: sessions_core.testing.age(found, minutes=1),
        "expire": lambda: sessions_core.testing.expire(found),
        "revoke": lambda: revoke(found),
        "make_admin": lambda: make_admin(found),
        "reset": lambda: reset(app),
    }
    functions = {name for name in sessions_core.testing.__all__ if name[0].islower()}
    assert calls.keys() == functions - {"config"}
    for name, call in calls.items():
        with pytest.raises(errors.TestingInProduction, match="refuses an application in production") as refusal:
            call()
        assert refusal.value.code == "testing_in_production", name


def test_application_without_the_extension_is_refused() -> None:
    with pytest.raises(errors.NoWalletSessions, match=r"Call WalletSessions\(app\)"):
        reset(Flask("bare"))


def test_documented_codes_are_those_of_the_kit() -> None:
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, KitError)]
    codes = {each.code for each in classes} - {KitError.code}
    assert set(table("docs/test-your-app.md", "code")) == codes
    assert len(codes) == len(classes) - 1


def test_kit_is_loaded_by_no_application(redis_url: str) -> None:
    program = (
        "import sys\nfrom app import create_app\n"
        f"create_app({{'SECRET_KEY': {SECRET!r}, 'SESSIONS_CORE_REDIS_URL': {redis_url!r}}})\n"
        "print([name for name in sys.modules if name.startswith('sessions_core.testing')])\n"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.stdout == "[]\n", run.stderr
