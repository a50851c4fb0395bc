"""`SESSIONS_CORE_REDIS_URL`: every spelling works or is refused at start, and no sentence repeats a secret."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from sessions_core.errors import Misconfigured, StoreUnavailable
from sessions_core.parts.contract_wallets.options import ContractWalletSettings
from sessions_core.parts.operations.options import OperationsSettings
from sessions_core.settings import Settings
from sessions_core.storage.connection import RedisConnection
from sessions_core.storage.redis_url import read

from ..actors import Visitor, Wallet
from ..servers import Server, free_port, running
from ..tls import certificate, tls_cluster, tls_sentinel, tls_server

SECRET = "hunter"


def refusal(url: str) -> str:
    """Return the sentence that refuses a URL; what a traceback would show of it must not hold the password."""
    with pytest.raises(Misconfigured) as caught:
        read(url, 1)
    shown = "".join(traceback.format_exception(caught.value))
    assert SECRET not in shown
    sentence = str(caught.value)
    assert sentence.startswith("SESSIONS_CORE_REDIS_URL can't be used: ")
    return sentence


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter/2@127.0.0.1/0",
        "redis://:hunter?2@127.0.0.1/0",
        "redis://:hunter#2@127.0.0.1/0",
        "redis://:#hunter@127.0.0.1/0",
        "redis://:/hunter@127.0.0.1",
        "redis://hunter:hunter",
        "redis://:a:hunter[@127.0.0.1:hunter/0",
        "redis://u:hunter/x@[::1]:6379",
        "rediss+cluster://:hunter/2@a:1,b:2",
        "redis+sentinel://:hunter/2@a:1,b:2/service",
        "redis+sentinel://a:1,b:hunter/service",
        "unix:///tmp/x.sock?password=a&hunter=2",
        "unix:///tmp/x.sock?password=a&hunter",
        "redis://127.0.0.1/hunter",
        "redis://127.0.0.1?password=hunter&password=hunter",
    ],
)
def test_a_misplaced_password_is_never_repeated(url: str) -> None:
    sentence = refusal(url)
    assert "percent-encode" in sentence or "twice" in sentence


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "begin it with redis://"),
        ("localhost:6379", "begin it with redis://"),
        ("http://localhost:6379", "begin it with redis://"),
        ("unix+cluster:///x", "begin it with redis://"),
        ("redis://localhost?decode_responses=true", "decode_responses can't be set: sessions are bytes"),
        ("redis://localhost?foo=bar", "an option that is none of db, username"),
        ("redis://localhost?protocol=3", "speaks RESP2"),
        ("redis+cluster://localhost?ssl=true", "write rediss://"),
        ("redis+sentinel://localhost:1/s?ssl=true", "rediss+sentinel://"),
        ("redis://localhost?ssl_cert_reqs=none", "write rediss in the place of redis"),
        ("rediss://localhost?ssl_cert_reqs=never", "ssl_cert_reqs has no good value"),
        ("rediss://localhost?ssl_ca_certs=/no/such/file", "ssl_ca_certs has no good value (no such file)"),
        ("redis://localhost?socket_timeout=never", "socket_timeout has no good value"),
        ("redis://localhost?socket_timeout=", "socket_timeout has no good value"),
        ("redis://localhost?socket_timeout=0", "socket_timeout has no good value"),
        ("redis://localhost?socket_keepalive=maybe", "socket_keepalive has no good value"),
        ("redis://localhost?db=1&db=2", "db twice"),
        ("redis://localhost/1?db=2", "two databases"),
        ("redis://localhost/0/1", "the number of a database"),
        ("redis://localhost/-1", "the number of a database"),
        ("redis://localhost:port", "write host:port"),
        ("redis://localhost:0", "write host:port"),
        ("redis://localhost:70000", "write host:port"),
        ("redis://[::1", "write host:port"),
        ("redis://a:1,b:2", "several hosts are for"),
        ("redis://local host", "a space"),
        ("redis://localhost\n", "a space, a line feed"),
        ("unix://", "unix:///path"),
        ("unix://tmp/redis.sock", "unix:///path"),
        ("redis+cluster://localhost/1", "no database but 0"),
        ("redis+cluster://localhost?db=1", "no database but 0"),
        ("redis+cluster://", "write host:port"),
        ("redis+sentinel://localhost:26379", "name the service"),
        ("redis+sentinel://localhost/sessions", "write host:port"),
        ("redis+sentinel://a:1,/sessions", "write host:port"),
        ("redis://localhost?sentinel_password=x", "an option that is none of"),
    ],
)
def test_a_url_that_can_not_work_is_refused(url: str, words: str) -> None:
    assert words in refusal(url)


def test_credentials_are_percent_decoded_once() -> None:
    for url in ("redis://us%25er:p%2F%2540@h/3", "redis://h/3?username=us%25er&password=p%2F%2540"):
        kwargs = read(url, 1).open().connection_pool.connection_kwargs
        assert (kwargs["username"], kwargs["password"], kwargs["db"]) == ("us%er", "p/%40", 3)


def test_settings_and_targets_show_no_secret() -> None:
    """Error trackers print the locals of every frame."""
    settings = Settings(
        secrets=(SECRET,),
        redis_url=f"redis://:{SECRET}@localhost",
    )
    assert SECRET not in repr(settings)
    assert SECRET not in repr(OperationsSettings(metrics_secret=SECRET))
    assert SECRET not in repr(ContractWalletSettings(rpc_urls={"eip155:1": f"https://rpc.example.org/{SECRET}"}))
    assert settings.public_origin in repr(settings)
    for url in ("redis://:hunter@h", "redis+cluster://:hunter@h", "redis+sentinel://:hunter@h:1/s"):
        assert SECRET not in repr(read(url, 1))


@pytest.mark.parametrize("scheme", ["redis", "valkey", "REDIS"])
def test_a_plain_url_reaches_its_server(tmp_path: Path, scheme: str) -> None:
    port = free_port()
    with running(Server(tmp_path, socket_name=None, port=port)):
        link = RedisConnection(f"{scheme}://127.0.0.1:{port}/2?client_name=us", 1)
        assert b"db=2" in link.call("CLIENT", "INFO")
        assert link.call("CLIENT", "GETNAME") == b"us"
        link.close()


# -- TLS, with a certificate of the test's own ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"))


SERVICES = {
    "rediss": tls_server,
    "valkeys": tls_server,
    "rediss+sentinel": tls_sentinel,
    "rediss+cluster": tls_cluster,
}


@pytest.mark.parametrize("scheme", SERVICES)
def test_a_session_lives_over_tls(
    scheme: str, pem: Path, tmp_path_factory: pytest.TempPathFactory, make_app: Callable[..., Flask], wallet: Wallet
) -> None:
    with SERVICES[scheme](tmp_path_factory.mktemp("t"), pem) as (front, location):
        app = make_app(
            SESSIONS_CORE_REDIS_URL=f"{scheme}://{location}?ssl_ca_certs={pem}", SESSIONS_CORE_REDIS_TIMEOUT_MS=5000
        )
        person = Visitor(app)
        person.sign_in(wallet)
        assert person.get("/session").status_code == 200
        assert front.encrypted > 0
        assert person.sign_out().status_code == 303
        assert not person.signed_in


@pytest.mark.parametrize("scheme", SERVICES)
def test_untrusted_certificate_is_refused(scheme: str, pem: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with SERVICES[scheme](tmp_path_factory.mktemp("t"), pem) as (_, location):
        link = RedisConnection(f"{scheme}://{location}", 5)
        with pytest.raises(StoreUnavailable):
            link.call("SET", "a", "b")
        unchecked = RedisConnection(f"{scheme}://{location}?ssl_cert_reqs=none&ssl_check_hostname=false", 5)
        assert unchecked.call("SET", "a", "b")
