"""The plain modules `wallets/words.js` and `wallets/icons.js`: what wallets say of themselves, made fit to show."""

from __future__ import annotations

from typing import Any

from .pages import Browser

NAMES: list[tuple[Any, str]] = [
    ("MetaMask", "MetaMask"),
    ("  two \t\n words ", "two words"),
    ("Wal\u202elet\u200b\u0000\u2066 \u00ad\ufeffOne\u2028Two", "Wallet One Two"),
    ("a\u200d\u200c\u2060\U000e0041b", "ab"),
    ("   \u200b\u202e\u3164\u2800  ", ""),
    (None, ""),
    ({"toString": "x"}, ""),
    (7, ""),
    ("M" * 40, "M" * 40),
    ("M" * 60, "M" * 39 + "…"),
    ("\U0001f98a" * 60, "\U0001f98a" * 39 + "…"),
    ("x" * 38 + "e\u0301f", "x" * 38 + "…"),
    ("e\u0301\u0301\u0301\u0301\u0301\u0301vil", "e\u0301\u0301vil"),
    ("محفظة", "محفظة"),
    ("A" * 1_000_000, "A" * 39 + "…"),
]


def test_names_become_one_printable_line_of_forty_characters(page: Browser) -> None:
    given, expected = zip(*NAMES, strict=True)
    shown = page.module("wallets/words", "given[0].map((name) => module.printable(name))", list(given))
    assert shown == list(expected)


def test_lone_surrogate_is_dropped(page: Browser) -> None:
    assert page.module("wallets/words", r"module.printable('a\ud800b\udfffc')") == "abc"


ICONS: list[tuple[Any, Any]] = [
    ("data:image/png;base64,AAAA", "data:image/png;base64,AAAA"),
    ("data:image/webp;base64,AAAA", "data:image/webp;base64,AAAA"),
    ("data:image/jpeg;base64,AAAA", "data:image/jpeg;base64,AAAA"),
    ("data:image/gif;base64,AAAA", "data:image/gif;base64,AAAA"),
    ("data:image/svg+xml,<svg/>", "data:image/svg+xml,<svg/>"),
    ("DATA:IMAGE/PNG;base64,AAAA", "DATA:IMAGE/PNG;base64,AAAA"),
    ("data:image/svg;base64,PHN2Zy8+", "data:image/svg+xml;base64,PHN2Zy8+"),
    ("data:image/svg,<svg/>", "data:image/svg+xml,<svg/>"),
    ("data:image/svgz;base64,AAAA", ""),
    ("data:image/bmp;base64,AAAA", ""),
    ("data:text/html,<script>alert(1)</script>", ""),
    ("data:,", ""),
    ("https://tracker.example/icon.png", ""),
    ("//tracker.example/icon.png", ""),
    ("javascript:alert(1)", ""),
    ("", ""),
    (None, ""),
    (["data:image/png;base64,AAAA"], ""),
    ("data:image/png," + "A" * (64 * 1024 - 15), "data:image/png," + "A" * (64 * 1024 - 15)),
    ("data:image/png," + "A" * (64 * 1024 - 14), ""),
]


def test_icons_are_small_pictures_in_the_announcement_or_none(page: Browser) -> None:
    given, expected = zip(*ICONS, strict=True)
    assert page.module("icons", "given[0].map((icon) => module.safeIcon(icon))", list(given)) == list(expected)


def test_a_monogram_is_the_first_letter(page: Browser) -> None:
    names = ["metaMask", "  «rabby»", "\U0001f98a fox", "éa", "…", ""]
    letters = page.module("wallets/words", "given[0].map((name) => module.monogram(name))", names)
    assert letters == ["M", "R", "\U0001f98a", "É", "?", "?"]


ALIKE = [
    ("MetaMask", "metamask"),
    ("MetaMask", "Meta Mask™"),
    ("MetaMask", "\u041c\u0435\u0442\u0430M\u0430\u0455k"),  # Cyrillic
    ("MetaMask", "\u039ceta\u039cask"),  # Greek
    ("MetaMask", "\uff2d\uff45\uff54\uff41\uff2d\uff41\uff53\uff4b"),  # full width
    ("MetaMask", "\U0001d40c\U0001d41e\U0001d42d\U0001d41a\U0001d40c\U0001d41a\U0001d42c\U0001d424"),  # mathematical
    ("MetaMask", "M\u00e9t\u00e4Mask"),
    ("Rabby Wallet", "Rabby Wa11et"),
    ("Coinbase Wallet", "Coinbase WaIIet"),
    ("MetaMask", "rnetaMask"),
    ("OKX", "0KX"),
]


def test_names_that_look_alike_have_one_shape(page: Browser) -> None:
    shapes = page.module("wallets/words", "given[0].map((pair) => pair.map(module.skeleton))", ALIKE)
    assert [pair for pair, (one, other) in zip(ALIKE, shapes, strict=True) if one != other] == []
    names = [
        "MetaMask",
        "MetaMask Flask",
        "Rabby",
        "Coinbase",
        "Phantom",
        "محفظة",
        "钱包",
        "\U0001f98a",
        "\U0001f43c",
    ]
    assert len(set(page.module("wallets/words", "given[0].map(module.skeleton)", names))) == len(names)


def test_quoted_words_can_not_end_their_quotation(page: Browser) -> None:
    said = ["a” by you. “Nothing to do", 'say "yes"', "\u202eback\u0007", "", None, "x" * 500]
    shown = page.module("wallets/words", "given[0].map((text) => module.quoted(text))", said)
    assert shown == ["“a' by you. 'Nothing to do”", "“say 'yes'”", "“back”", "", "", f"“{'x' * 39}…”"]
