"""Clients in words: what browsers really send, and what somebody sends who wants to be read, or to be slow."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
import time

import pytest

from sessions_core.parts.devices import user_agent
from sessions_core.web.request_client import Client, client_of

GECKO, WEBKIT = "Mozilla/5.0 ({}) Gecko/20100101 {}", "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) {}"
LINUX, WINDOWS, MAC = "X11; Linux x86_64", "Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7"
IPHONE, ANDROID = "iPhone; CPU iPhone OS 17_5 like Mac OS X", "Linux; Android 10; K"
CHROME, SAFARI = "Chrome/126.0.0.0 Safari/537.36", "Version/17.5 Mobile/15E148 Safari/604.1"


def describe(ip: str, agent: str, shorten: bool) -> Client:
    return client_of(ip, agent, shorten, [user_agent.describe])


def device(agent: str) -> str:
    return describe("", agent, False).device


def seconds(agent: str) -> float:
    """How long an agent that was never seen takes: the best of five, as the machine has other things to do."""
    best = 9.0
    for _ in range(5):
        user_agent._device.cache_clear()
        start = time.process_time()
        describe("", agent, False)
        best = min(best, time.process_time() - start)
    return best


# -- Devices ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (GECKO.format(f"{LINUX}; rv:128.0", "Firefox/128.0"), "Firefox on Linux"),
        (GECKO.format("X11; Ubuntu; Linux x86_64; rv:128.0", "Firefox/128.0"), "Firefox on Linux"),
        (GECKO.format("Windows NT 10.0; rv:128.0", "Firefox/128.0"), "Firefox on Windows"),
        ("Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0", "Firefox on Android"),
        (WEBKIT.format(WINDOWS, CHROME), "Chrome on Windows"),
        (WEBKIT.format("X11; CrOS x86_64 14541.0.0", CHROME), "Chrome on ChromeOS"),
        (WEBKIT.format(ANDROID, "Chrome/126.0.0.0 Mobile Safari/537.36"), "Chrome on Android"),
        (WEBKIT.format(WINDOWS, f"{CHROME} Edg/126.0.0.0"), "Edge on Windows"),
        (WEBKIT.format(WINDOWS, f"{CHROME} OPR/111.0.0.0"), "Opera on Windows"),
        (WEBKIT.format(LINUX, f"{CHROME} Vivaldi/6.8"), "Vivaldi on Linux"),
        (WEBKIT.format(LINUX, "HeadlessChrome/126.0.0.0 Safari/537.36"), "Headless Chrome on Linux"),
        (WEBKIT.format(MAC, "Version/17.5 Safari/605.1.15"), "Safari on macOS"),
        (WEBKIT.format(IPHONE, SAFARI), "Safari on iOS"),
        (WEBKIT.format(IPHONE, f"CriOS/126.0.6478.35 {SAFARI}"), "Chrome on iOS"),
        (WEBKIT.format(IPHONE, "FxiOS/127.0 Mobile/15E148 Safari/605.1.15"), "Firefox on iOS"),
        (WEBKIT.format(IPHONE, "Mobile/15E148"), "In-app browser on iOS"),
        (
            WEBKIT.format("Linux; Android 14; Pixel 8; wv", "Version/4.0 Chrome/126.0.6478.71 Mobile Safari/537.36"),
            "In-app browser on Android",
        ),
        (
            WEBKIT.format("Linux; Android 14; SM-S911B", "SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36"),
            "Samsung Internet on Android",
        ),
        ("curl/8.5.0", "curl"),
        ("Wget/1.21", "Wget"),
        ("python-requests/2.31.0", "Python"),
        ("Go-http-client/2.0", "Go"),
        ("Mozilla/5.0 (X11; Linux x86_64)", "Unknown browser on Linux"),
        ("Firefox/128.0", "Firefox"),
        ("Somebody/1.0", "Unknown browser"),
        ("", "Unknown browser"),
        ("   ", "Unknown browser"),
    ],
)
def test_a_device_is_the_browser_and_the_system_in_words(agent: str, words: str) -> None:
    assert device(agent) == words


def test_an_update_of_the_browser_makes_no_other_device() -> None:
    agents = [GECKO.format(f"{LINUX}; rv:{version}.0", f"Firefox/{version}.0") for version in range(90, 140)]
    assert {device(agent) for agent in agents} == {"Firefox on Linux"}


@pytest.mark.parametrize(
    "agent",
    [
        "Call 0800 123456 spider",
        "Your account was stolen, visit evil.example/help crawler/1",
        "<script>alert(1)</script>bot/1.0",
        "Pay 100 now Bot 1.0",
        "evil-iPhone/1.0 CFNetwork",
        "Send coins to 0x52908400098527886E0F7030069857D2E4169EE7 archiver/2",
        "Mozilla/5.0 (compatible; Call us Indexer; +http://evil.example)",
    ],
)
def test_user_agent_can_not_put_a_message_into_the_device(agent: str) -> None:
    known = {*user_agent._BROWSERS.values(), user_agent.UNKNOWN}
    words = {f"{browser} on {system}" for browser in known for system in user_agent._SYSTEMS.values()}
    assert device(agent) in words | known
    assert not re.search("call|evil|pay|send|script|stolen", device(agent), re.IGNORECASE)


def test_every_name_that_is_shown_is_short_and_plain() -> None:
    for name in (*user_agent._BROWSERS.values(), *user_agent._SYSTEMS.values()):
        assert re.fullmatch(r"[A-Za-z][A-Za-z -]{1,17}", name), name


# -- Agents ----------------------------------------------------------------------------------------------------


def test_an_agent_is_kept_as_it_came() -> None:
    agent = GECKO.format(f"{LINUX}; rv:128.0", "Firefox/128.0")
    assert describe("", agent, False).agent == agent


def test_an_agent_has_at_most_300_characters() -> None:
    assert describe("", "x" * 10_000, False).agent == "x" * 300


def test_invisible_characters_are_removed_from_an_agent() -> None:
    hidden = "\0\t\n\r\x1b[2J\x7f\x85\xad\u061c\u200b\u200e\u202e\u2028\u2029\u2066\ufeff\ud800\U000e0041"
    agent = describe("", f"{hidden}Firefox{hidden}/128.0{hidden}", False).agent
    assert agent == "[2JFirefox[2J/128.0[2J"
    assert agent.isprintable()


def test_letters_of_all_languages_may_stay() -> None:
    assert describe("", "Обозреватель/1.0 é 浏览器", False).agent == "Обозреватель/1.0 é 浏览器"


# -- Time ------------------------------------------------------------------------------------------------------

HOSTILE = {
    "spaces": " " * 299 + "x",
    "letters": "a" * 300,
    "digits": "1" * 300,
    "versions": "1." * 150,
    "brackets": "(" * 300,
    "nearly scrapers": ("hts" + "cos" * 100)[:300],
    "nearly spiders": "spide" * 60,
    "nearly robots": "bo" * 150,
    "nearly Macs": "Mac OS X " * 33,
    "nearly Androids": "Android " * 37,
    "nearly Linux": "Linux." * 50,
    "nearly Opera": "ChromeOPR/" * 30,
    "nearly Teams": "Teams" * 60,
    "hyphens": "-_./" * 75,
    "phones": "Mozilla/5.0 (Linux; Android 1" + "; 1" * 90,
    "other letters": "İ" * 300,
}


@pytest.mark.parametrize("agent", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_agent_takes_a_few_milliseconds(agent: str) -> None:
    user_agent.warm()
    # 0.3 ms here; a pattern that backtracks over 300 characters would take seconds.
    assert seconds(agent) < 0.02


@pytest.mark.parametrize("agent", HOSTILE.values(), ids=HOSTILE.keys())
def test_twice_the_length_takes_no_more_than_a_few_times_as_long(agent: str) -> None:
    user_agent.warm()
    assert seconds(agent) < 5 * seconds(agent[:150]) + 0.001


def test_megabyte_header_costs_no_more_than_300_characters() -> None:
    user_agent.warm()
    assert seconds("Mac OS X " * 100_000) < 3 * seconds("Mac OS X " * 33) + 0.001


def test_an_agent_that_was_seen_lately_is_not_read_again() -> None:
    user_agent._device.cache_clear()
    for _ in range(50):
        describe("", "curl/8.5.0", False)
    assert user_agent._device.cache_info().misses == 1


def test_a_flood_of_agents_does_not_fill_memory() -> None:
    for number in range(2000):
        describe("", f"curl/{number}", False)
    assert user_agent._device.cache_info().currsize == user_agent._device.cache_info().maxsize == 512


def test_user_agent_library_is_loaded_lazily_or_by_warm() -> None:
    script = (
        "import sys; from sessions_core.parts.devices import user_agent as clients\n"
        "assert 'ua_parser' not in sys.modules; clients.warm(); assert 'ua_parser' in sys.modules\n"
        "import time; start = time.process_time()\n"
        "clients.describe('Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'); "
        "print(time.process_time() - start)"
    )
    took = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert float(took) < 0.02, "warming up compiled every pattern"


# -- Addresses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ip", "kept", "shortened"),
    [
        ("203.0.113.7", "203.0.113.7", "203.0.113.0/24"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.0/24"),
        ("255.255.255.255", "255.255.255.255", "255.255.255.0/24"),
        ("2001:db8:1::7", "2001:db8:1::7", "2001:db8:1::/48"),
        ("2001:0DB8:0001:0000:0000:0000:0000:0007", "2001:db8:1::7", "2001:db8:1::/48"),
        ("2001:db8:1:ffff:ffff:ffff:ffff:ffff", "2001:db8:1:ffff:ffff:ffff:ffff:ffff", "2001:db8:1::/48"),
        ("::1", "::1", "::/48"),
        ("::ffff:203.0.113.7", "203.0.113.7", "203.0.113.0/24"),
        ("::FFFF:cb00:7107", "203.0.113.7", "203.0.113.0/24"),
        ("::ffff:203.0.113.7%eth0", "203.0.113.7", "203.0.113.0/24"),
        ("fe80::1%eth0", "fe80::1", "fe80::/48"),
        ("fe80::1%<script>", "fe80::1", "fe80::/48"),
        ("203.0.113.7:80", "203.0.113.7", "203.0.113.0/24"),
        ("203.0.113.7:_hidden", "203.0.113.7", "203.0.113.0/24"),
        ('"203.0.113.7:80"', "203.0.113.7", "203.0.113.0/24"),
        ("[::1]", "::1", "::/48"),
        ("[2001:db8:1::7]:443", "2001:db8:1::7", "2001:db8:1::/48"),
        ("[fe80::1%eth0]:443", "fe80::1", "fe80::/48"),
        ("[::ffff:203.0.113.7]:443", "203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:0:0:0:0:7:443", "2001:db8:1::7", "2001:db8:1::/48"),
    ],
)
def test_ip_address_is_normalised_and_shortened(ip: str, kept: str, shortened: str) -> None:
    assert describe(ip, "", False).ip == kept
    assert describe(ip, "", True).ip == shortened


@pytest.mark.parametrize(
    "ip",
    [
        "",
        "unknown",
        "_hidden",
        "203.0.113",
        "203.0.113.256",
        "203.0.113.07",
        "203.0.113.7:",
        "203.0.113.7:http",
        "203.0.113.7:123456",
        "[203.0.113.7",
        "[::1]443",
        "[]:80",
        "203.0.113.7%eth0",
        "203.0.113.0/24",
        "203.0.113.7, 10.0.0.1",
        " 203.0.113.7",
        "203.0.113.7\n",
        "٢٠٣.0.113.7",
        "::1%",
        "2001:db8::g",
        "3405803783",
        "0x7f000001",
        "<b>",
        "1" * 100_000,
        ":" * 100_000,
    ],
)
def test_malformed_ip_address_is_kept_as_empty(ip: str) -> None:
    assert describe(ip, "", False).ip == ""
    assert describe(ip, "", True).ip == ""


def test_a_client_is_frozen_and_empty_by_default() -> None:
    client = Client()
    assert (client.ip, client.agent, client.device) == ("", "", "")
    with pytest.raises(dataclasses.FrozenInstanceError):
        client.ip = "203.0.113.7"  # type: ignore[misc]
