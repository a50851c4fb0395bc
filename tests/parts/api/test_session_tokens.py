"""Session tokens: what is in them, who else can read them, and every way in which one is refused."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask

from sessions_core.parts.api import Api, refresh_tokens
from sessions_core.parts.api.errors import TokenExpired, TokenInvalid
from sessions_core.parts.api.refresh_tokens import Family
from sessions_core.parts.api.session_tokens import Claims, Tokens
from sessions_core.sessions.record import LoadedSession
from sessions_core.sign_in.accounts import parse
from sessions_core.sign_in.curves import P256_ORDER
from sessions_core.web.services import Services

from ...actors import ORIGIN
from ...constants import ABSOLUTE, ALICE
from ...session_tokens import decode, encode, forge, issue, parts_of, private_key
from ...time_machine import Clock, TimeMachine

FAMILY = Family(id=b"family", key=b"key", current=b"current", generation=7)
SEPOLIA = ALICE.replace("eip155:1:", "eip155:11155111:")


@pytest.fixture
def tokens(services: Services) -> Tokens:
    return services.part(Api).tokens


@pytest.fixture
def live(start: Callable[..., LoadedSession]) -> LoadedSession:
    return start(handle="sess_0123456789abcdef", sections={"api": FAMILY})


@pytest.fixture
def token(services: Services, live: LoadedSession) -> str:
    return issue(services, live).text


def refuse(tokens: Tokens, text: str) -> None:
    with pytest.raises(TokenInvalid) as refusal:
        tokens.open(text)
    assert (refusal.value.code, refusal.value.status, refusal.value.reason) == ("token_invalid", 401, "token")


# -- What is in one ------------------------------------------------------------------------------------------


def test_token_claims_follow_rfc_9068(services: Services, live: LoadedSession, clock: Clock) -> None:
    before = int(clock())
    issued = issue(services, live)
    header, claims, signature = parts_of(issued.text)
    assert header == {"alg": "ES256", "typ": "at+jwt", "kid": services.part(Api).signing_keys.signer().kid}
    assert len(signature) == 64
    jti, iat = claims.pop("jti"), claims.pop("iat")
    assert before <= iat <= clock()
    assert claims == {
        "iss": ORIGIN,
        "aud": ORIGIN,
        "client_id": ORIGIN,
        "sub": ALICE,
        "sid": "sess_0123456789abcdef",
        "session_type": "standard",
        "network": "mainnet",
        "role": "member",
        "permissions": ["transact", "sign", "read:profile", "write:messages", "join:groups", "book:sessions"],
        "gen": 7,
        "exp": iat + 300,
    }
    assert issued.expires_at == claims["exp"]
    assert len(decode(jti)) == 12


def test_issued_token_opens(tokens: Tokens, token: str) -> None:
    claims = tokens.open(token)
    assert isinstance(claims, Claims)
    assert json.loads(msgspec.json.encode(claims)) == parts_of(token)[1]


def test_each_token_is_unique(services: Services, live: LoadedSession) -> None:
    assert issue(services, live).text != issue(services, live).text


def test_a_testnet_signature_gives_a_token_that_moves_no_money(
    services: Services, start: Callable[..., LoadedSession]
) -> None:
    claims = services.part(Api).tokens.open(issue(services, start(SEPOLIA)).text)
    assert claims.network == "testnet"
    assert "test-only" in claims.permissions
    assert not {"transact", "sign"} & set(claims.permissions)


def test_the_token_of_a_session_with_a_cookie_has_no_generation(
    services: Services, start: Callable[..., LoadedSession]
) -> None:
    assert services.part(Api).tokens.open(issue(services, start()).text).gen is None


@pytest.mark.parametrize("seconds", [30, 300])
def test_a_token_lives_as_long_as_the_setting_says(
    make_app: Callable[..., Flask], start: Callable[..., LoadedSession], seconds: int
) -> None:
    services: Services = make_app(SESSIONS_CORE_TOKEN_SECONDS=seconds).extensions["sessions_core"]
    claims = services.part(Api).tokens.open(issue(services, start()).text)
    assert claims.exp - claims.iat == seconds


def test_a_token_never_outlives_the_absolute_end(
    services: Services, store: Any, start: Callable[..., LoadedSession], pass_time: TimeMachine, clock: Clock
) -> None:
    live = start(idle=ABSOLUTE, absolute=ABSOLUTE)
    pass_time(ABSOLUTE - 100)
    late = store.load(live.id, "never")
    issued = issue(services, late)
    left = (late.absolute_expires_at - late.now) / 1000
    assert 90 < left <= 100
    assert left - 2 <= issued.expires_at - clock() <= left


def test_clock_skew_against_redis_moves_no_expiry(
    services: Services, start: Callable[..., LoadedSession], clock: Clock
) -> None:
    for ahead in (-3600, 3600):
        clock.ahead = ahead
        claims = services.part(Api).tokens.open(issue(services, start(idle=200, absolute=200)).text)
        assert 198 <= claims.exp - claims.iat <= 200


def test_a_hundred_permissions_fit(services: Services, live: LoadedSession) -> None:
    permissions = [f"permission:number-{number:03d}-of-this-site" for number in range(100)]
    text = (
        services.part(Api)
        .tokens.issue(live, session_type="standard", network="mainnet", role="member", permissions=permissions)
        .text
    )
    assert services.part(Api).tokens.open(text).permissions == tuple(permissions)


# -- Who else can read them ----------------------------------------------------------------------------------


def published(services: Services) -> list[dict[str, str]]:
    return [dict(key) for key in services.part(Api).signing_keys.public()]


def verified_elsewhere(token: str, keys: list[dict[str, str]]) -> None:
    """Check a token as a service does that has the published keys and none of our code; raise if it is not good."""
    signed, _, signature = token.rpartition(".")
    [key] = [key for key in keys if key["kid"] == parts_of(token)[0]["kid"]]
    point = ec.EllipticCurvePublicNumbers(
        int.from_bytes(decode(key["x"])), int.from_bytes(decode(key["y"])), ec.SECP256R1()
    )
    raw = decode(signature)
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    point.public_key().verify(der, signed.encode(), ec.ECDSA(SHA256()))


def test_other_libraries_verify_tokens_with_published_keys(services: Services, token: str) -> None:
    keys = published(services)
    verified_elsewhere(token, keys)
    header, payload, signature = token.split(".")
    changed = encode(decode(payload).replace(b'"member"', b'"admin"'))
    with pytest.raises(InvalidSignature):
        verified_elsewhere(f"{header}.{changed}.{signature}", keys)


_WEB_CRYPTO = """
const [token, keys] = process.argv.slice(1);
const [header, payload, signature] = token.split('.');
const { kid } = JSON.parse(Buffer.from(header, 'base64url'));
const jwk = JSON.parse(keys).find((key) => key.kid === kid);
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
crypto.subtle.importKey('jwk', jwk, algorithm, false, ['verify'])
  .then((key) => crypto.subtle.verify(
    algorithm, key, Buffer.from(signature, 'base64url'), Buffer.from(`${header}.${payload}`)))
  .then((good) => console.log(good));
"""


def test_web_crypto_verifies_tokens_with_published_keys(services: Services, token: str) -> None:
    def ask(token: str) -> str:
        command = ["node", "-e", _WEB_CRYPTO, token, json.dumps(published(services))]
        return subprocess.run(command, capture_output=True, check=True, text=True, timeout=30).stdout.strip()

    assert ask(token) == "true"
    header, _, signature = token.split(".")
    assert ask(f"{header}.{encode(b'{}')}.{signature}") == "false"


# -- The algorithm -------------------------------------------------------------------------------------------


def test_a_token_with_our_words_and_our_key_is_good(services: Services, tokens: Tokens, token: str) -> None:
    """Else the tests below show nothing: what they forge would be refused for how they forge it."""
    assert tokens.open(forge(services, token)) == tokens.open(token)


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", "ES256K", "ES384", "es256", "EdDSA", "PS256", None, 256])
def test_the_token_does_not_choose_its_algorithm(services: Services, tokens: Tokens, token: str, alg: Any) -> None:
    refuse(tokens, forge(services, token, {"alg": alg}))


@pytest.mark.parametrize("alg", ["none", "ES256"])
@pytest.mark.parametrize("signature", ["", "AA", encode(bytes(64)), encode(bytes(32))])
def test_a_token_without_a_signature_is_refused(
    services: Services, tokens: Tokens, token: str, alg: str, signature: str
) -> None:
    signed = forge(services, token, {"alg": alg}).rpartition(".")[0]
    refuse(tokens, f"{signed}.{signature}")
    refuse(tokens, signed)


def test_public_key_can_not_sign_as_an_hmac_secret(services: Services, tokens: Tokens, token: str) -> None:
    """Algorithm confusion: a library that trusts HS256 in the token's header would use the published key."""
    public = private_key(services).public_key()
    [jwk] = published(services)
    guesses = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).strip(),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        json.dumps(jwk).encode(),
        b"",
    ]
    for alg in ("HS256", "HS512", "ES256"):
        signed = forge(services, token, {"alg": alg}).rpartition(".")[0]
        for secret in guesses:
            mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
            for signature in (mac, mac + mac):
                refuse(tokens, f"{signed}.{encode(signature)}")


def test_a_signature_of_rsa_is_refused(services: Services, tokens: Tokens, token: str) -> None:
    key = rsa.generate_private_key(65537, 2048)
    signed = forge(services, token, {"alg": "RS256"}).rpartition(".")[0]
    refuse(tokens, f"{signed}.{encode(key.sign(signed.encode(), PKCS1v15(), SHA256()))}")


def test_foreign_key_is_refused_under_any_key_id(services: Services, tokens: Tokens, token: str) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    refuse(tokens, forge(services, token, key=stranger))
    for kid in ("unknown", "", ".", "0", "../keys", "{signing}:keys"):
        refuse(tokens, forge(services, token, {"kid": kid}, key=stranger))
        refuse(tokens, forge(services, token, {"kid": kid}))
    for kid in (None, 7, ["a"], {"a": 1}, "k" * 65, ...):
        refuse(tokens, forge(services, token, {"kid": kid}))


def test_a_token_brings_no_key_of_its_own(services: Services, tokens: Tokens, token: str) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    numbers = stranger.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-256", "x": encode(numbers.x.to_bytes(32)), "y": encode(numbers.y.to_bytes(32))}
    for header in ({"jwk": jwk}, {"jku": "https://evil.example/keys"}, {"x5u": "https://evil.example/chain"}):
        for key in (stranger, None):
            refuse(tokens, forge(services, token, header, key=key))
    refuse(tokens, forge(services, token, {"x5c": ["AAAA"]}))
    refuse(tokens, forge(services, token, {"x5t": "AAAA"}))


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": False},
        {"crit": []},
        {"b64": False},
        {"b64": True},
        {"zip": "DEF"},
        {"cty": "JWT"},
        {"enc": "A128GCM"},
        {"epk": {}},
    ],
)
def test_no_header_changes_how_a_token_is_read(
    services: Services, tokens: Tokens, token: str, header: dict[str, Any]
) -> None:
    refuse(tokens, forge(services, token, header))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "AT+JWT", "application/at+jwt", "at+jwt ", "", "dpop+jwt", None, ...])
def test_a_token_of_another_type_is_refused(services: Services, tokens: Tokens, token: str, typ: Any) -> None:
    refuse(tokens, forge(services, token, {"typ": typ}))


# -- One spelling --------------------------------------------------------------------------------------------


def test_padded_missing_and_further_parts_are_refused(tokens: Tokens, token: str) -> None:
    header, payload, signature = token.split(".")
    for text in (
        f"{header}=.{payload}.{signature}",
        f"{header}.{payload}=.{signature}",
        f"{header}.{payload}==.{signature}",
        f"{header}.{payload}.{signature}==",
        f"{header}.{payload}",
        f"{header}.{payload}.",
        f".{payload}.{signature}",
        f"{header}..{signature}",
        f"{token}.",
        f".{token}",
        f"{token}.{signature}",
        f"{header}.{payload}.{signature}.{payload}.{signature}",
        f" {token}",
        f"{token}\n",
        f"{token}\0",
        token.replace(".", "。"),
        token + "é",
        "",
        "..",
        "null",
        "{}",
    ):
        refuse(tokens, text)


def test_bits_that_belong_to_no_byte_are_refused(tokens: Tokens, token: str) -> None:
    """Libraries ignore them: one token would have several texts, and a list of refused ones could be got past."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    tried = 0
    for number, part in enumerate(token.split(".")):
        if len(part) % 4 == 0:
            continue  # every bit counts
        other = part[:-1] + alphabet[alphabet.index(part[-1]) ^ 1]
        assert decode(other) == decode(part)
        refuse(tokens, ".".join([*token.split(".")[:number], other, *token.split(".")[number + 1 :]]))
        tried += 1
    assert tried


def test_the_standard_alphabet_is_refused(services: Services, tokens: Tokens, live: LoadedSession) -> None:
    texts = (issue(services, live).text for _ in range(100))
    token = next(text for text in texts if "-" in text or "_" in text)
    refuse(tokens, token.replace("-", "+").replace("_", "/"))


def test_other_s_value_of_a_token_signature_is_refused(
    services: Services, tokens: Tokens, live: LoadedSession
) -> None:
    for _ in range(8):  # half of all signatures come with the low one by themselves
        signed, _, signature = issue(services, live).text.rpartition(".")
        r, s = decode(signature)[:32], int.from_bytes(decode(signature)[32:])
        assert s <= P256_ORDER // 2
        tokens.open(f"{signed}.{signature}")
        other = f"{signed}.{encode(r + (P256_ORDER - s).to_bytes(32))}"
        verified_elsewhere(other, published(services))  # a signature it is
        refuse(tokens, other)
        for wrong in (0, P256_ORDER, 2**256 - 1):
            refuse(tokens, f"{signed}.{encode(r + wrong.to_bytes(32))}")
            refuse(tokens, f"{signed}.{encode(wrong.to_bytes(32) + s.to_bytes(32))}")


def test_claims_in_another_spelling_are_refused(services: Services, tokens: Tokens, token: str) -> None:
    payload = decode(token.split(".")[1])
    exp = parts_of(token)[1]["exp"]
    for other in (
        payload.replace(b'"exp":', b'"exp":1,"exp":'),
        payload.replace(b'"sub":', b'"sub":"eip155:1:0x00","sub":'),
        payload[:-1] + b"}  ",
        payload.replace(b":", b": "),
        payload.replace(b'"iss"', b'"\\u0069ss"'),
        payload.replace(str(exp).encode(), str(exp).encode() + b".0"),
        payload + b"{}",
        b"\xef\xbb\xbf" + payload,
        payload.decode().encode("utf-16"),
        payload[:-1],
        b"[" + payload + b"]",
        b"[" * 5000,
        b"\xff\xfe",
        b"null",
    ):
        assert other != payload
        refuse(tokens, forge(services, token, claims=other))


@pytest.mark.parametrize("size", [10_000, 100_000, 5_000_000])
def test_huge_token_is_refused_before_any_decoding(
    services: Services, tokens: Tokens, token: str, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    header, payload, signature = token.split(".")
    monkeypatch.setattr("sessions_core.parts.api.session_tokens._canonical", None)
    for text in (
        f"{header}.{'A' * size}.{signature}",
        f"{'A' * size}.{payload}.{signature}",
        f"{header}.{payload}.{'A' * size}",
        "A" * size,
        "." * size,
        "A." * (size // 2),
    ):
        refuse(tokens, text)


# -- The claims ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": None},
        {"exp": ...},
        {"exp": -1},
        {"exp": 2**53 + 1},
        {"exp": 10**400},
        {"exp": [9999999999]},
        {"iat": "0"},
        {"iat": True},
        {"iat": -1},
        {"iat": ...},
        {"aud": [ORIGIN]},
        {"aud": []},
        {"aud": "https://other.example"},
        {"aud": ORIGIN + "/"},
        {"aud": ORIGIN.upper()},
        {"aud": ...},
        {"iss": "https://other.example"},
        {"iss": ORIGIN + "/"},
        {"iss": [ORIGIN]},
        {"iss": ...},
        {"sub": [ALICE]},
        {"sub": None},
        {"sub": ...},
        {"sid": 7},
        {"sid": ...},
        {"jti": ...},
        {"permissions": "transact"},
        {"permissions": [1]},
        {"gen": "7"},
        {"gen": -1},
        {"gen": True},
        {"gen": 2**31 + 1},
        {"gen": ...},
        {"nbf": 0},
        {"admin": True},
    ],
)
def test_a_claim_of_another_type_or_value_is_refused(
    services: Services, tokens: Tokens, token: str, claims: dict[str, Any]
) -> None:
    refuse(tokens, forge(services, token, claims=claims))


@pytest.mark.parametrize("number", ["1e308", "1e400", "9e9", "9999999999.5", "NaN", "Infinity", "-0", "0x7fffffff"])
def test_expiry_that_is_no_whole_number_is_refused(
    services: Services, tokens: Tokens, token: str, number: str
) -> None:
    exp = parts_of(token)[1]["exp"]
    payload = decode(token.split(".")[1]).replace(f'"exp":{exp}'.encode(), f'"exp":{number}'.encode())
    refuse(tokens, forge(services, token, claims=payload))


def test_token_from_the_future_is_refused_beyond_clock_skew(
    services: Services, tokens: Tokens, token: str, clock: Clock
) -> None:
    now = int(clock())
    assert tokens.open(forge(services, token, claims={"iat": now + 20, "exp": now + 320}))
    refuse(tokens, forge(services, token, claims={"iat": now + 60, "exp": now + 360}))


def test_token_expires_to_the_second(tokens: Tokens, services: Services, live: LoadedSession, clock: Clock) -> None:
    issued = issue(services, live)
    clock.ahead = issued.expires_at - clock() - 1  # by now a second before its end
    tokens.open(issued.text)
    clock.ahead += 1.0
    with pytest.raises(TokenExpired) as refusal:
        tokens.open(issued.text)
    assert (refusal.value.code, refusal.value.reason) == ("token_expired", "token")


def test_an_expired_token_that_was_changed_is_no_token(tokens: Tokens, token: str, clock: Clock) -> None:
    """Only of a token of ours is it said that it has run out."""
    clock.ahead += 301
    header, payload, signature = token.split(".")
    refuse(tokens, f"{header}.{encode(decode(payload).replace(b'standard', b'anything'))}.{signature}")


def test_token_for_another_audience_is_refused(
    make_app: Callable[..., Flask], services: Services, live: LoadedSession
) -> None:
    """In both directions."""
    others: Services = make_app(SESSIONS_CORE_TOKEN_AUDIENCE="https://elsewhere.example").extensions["sessions_core"]
    assert others.part(Api).tokens.open(issue(others, live).text).aud == "https://elsewhere.example"
    refuse(others.part(Api).tokens, issue(services, live).text)
    refuse(services.part(Api).tokens, issue(others, live).text)


def test_every_change_of_one_character_is_refused(tokens: Tokens, token: str) -> None:
    for place in range(0, len(token), 3):
        other = "A" if token[place] != "A" else "B"
        refuse(tokens, token[:place] + other + token[place + 1 :])


# -- A good token is verified once -----------------------------------------------------------------------------------


def test_token_in_use_is_verified_once(tokens: Tokens, token: str) -> None:
    for _ in range(3):
        tokens.open(token)
    assert tokens._verified.cache_info().misses == 1


def test_kept_token_still_ends(services: Services, live: LoadedSession, clock: Clock) -> None:
    issued, tokens = issue(services, live), services.part(Api).tokens
    tokens.open(issued.text)
    clock.ahead += 301
    with pytest.raises(TokenExpired):
        tokens.open(issued.text)


def test_kept_token_opens_no_session_that_has_ended(app: Flask, services: Services) -> None:
    live = services.lifecycle.start(
        parse(ALICE), services.policy.standard, prepare=lambda record: refresh_tokens.FAMILY.put(record, FAMILY)
    )
    client, bearer = app.test_client(), {"Authorization": f"Bearer {issue(services, live).text}"}
    asked = [client.get("/api/auth/sessions/validate", base_url=ORIGIN, headers=bearer).status_code]
    services.lifecycle.revoke(live, "revoked")
    asked += [client.get("/api/auth/sessions/validate", base_url=ORIGIN, headers=bearer).status_code]
    assert asked == [200, 401]


def test_flood_of_forged_tokens_evicts_no_good_one(tokens: Tokens, token: str) -> None:
    tokens.open(token)
    for number in range(1500):
        refuse(tokens, token[:-4] + f"{number:04d}")
    kept = tokens._verified.cache_info()
    assert kept.currsize == 1
    tokens.open(token)
    assert tokens._verified.cache_info().hits == kept.hits + 1
