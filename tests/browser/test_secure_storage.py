"""`SecureStorage`: texts in IndexedDB, under a key that no script can take along."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from .library_page import DUMP, LIBRARY, PATH, LibraryPage, add_page
from .pages import Browser

OPEN = f"window.storage = new (await import('{LIBRARY}/secure-storage.js')).SecureStorage();"


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return add_page(make_app())


@pytest.fixture
def page(browser: Browser) -> LibraryPage:
    browser.open(PATH)
    page = LibraryPage(browser)
    page.call(OPEN)
    return page


def again(page: LibraryPage) -> None:
    """Load the page again."""
    page.browser.open(PATH)
    page.call(OPEN)


def test_stored_text_survives_a_reload(page: LibraryPage) -> None:
    page.call("await storage.setItem('note', 'grüße 🙂'); await storage.setItem('empty', '')")
    again(page)
    assert page.call("return storage.getItem('note')") == "grüße 🙂"
    assert page.call("return storage.getItem('empty')") == ""
    assert page.call("return storage.getItem('other')") is None
    page.call("await storage.removeItem('note')")
    assert page.call("return storage.getItem('note')") is None


def test_encrypted_text_opens_after_a_reload(page: LibraryPage) -> None:
    one, other = page.call("return Promise.all([storage.encrypt('a text'), storage.encrypt('a text')])")
    assert one != other, "each has an initialisation vector of its own"
    again(page)
    assert page.call("return storage.decrypt(given[0])", one) == "a text"


def test_key_is_not_extractable(page: LibraryPage) -> None:
    page.call("await storage.setItem('note', 'secret')")
    found = page.call(DUMP)["found"]
    assert [each["extractable"] for each in found if each.get("store") == "keys"] == [False]
    assert {"exported": True} not in found
    assert "secret" not in str(found)


def test_destroyed_storage_opens_nothing_any_more(page: LibraryPage) -> None:
    sealed = page.call("await storage.setItem('note', 'secret'); return storage.encrypt('a text')")
    page.call("await storage.destroy()")
    assert page.call(DUMP)["found"] == []
    assert page.call("return storage.getItem('note')") is None
    assert "OperationError" in page.refused(f"return storage.decrypt('{sealed}')")


@pytest.mark.parametrize(
    "damage",
    ["(one, other) => [other, one]", "(one) => ['AAAA', one]", "(one) => [one.replace(/.$/, '!'), one]"],
    ids=["swapped", "cut off", "no Base64"],
)
def test_what_does_not_open_counts_as_nothing(page: LibraryPage, damage: str) -> None:
    page.call(f"""
        await storage.setItem("one", "1");
        await storage.setItem("other", "2");
        const database = await new Promise((resolve) => {{
          const opening = indexedDB.open("wallet-session");
          opening.onsuccess = () => resolve(opening.result);
        }});
        const items = () => database.transaction("items", "readwrite").objectStore("items");
        const read = (name) => new Promise((resolve) => {{
          const found = items().get(name);
          found.onsuccess = () => resolve(found.result);
        }});
        const [one, other] = ({damage})(await read("one"), await read("other"));
        items().put(one, "one");
        const last = items().put(other, "other");
        await new Promise((resolve) => {{ last.transaction.oncomplete = resolve; }});
        database.close();
    """)
    assert page.call("return storage.getItem('one')") is None


def test_two_tabs_make_one_key(page: LibraryPage) -> None:
    page.call(
        f"const {{ SecureStorage }} = await import('{LIBRARY}/secure-storage.js');"
        "const storages = Array.from({ length: 10 }, () => new SecureStorage());"
        "await Promise.all(storages.map((each, at) => each.setItem(String(at), String(at))));"
    )
    assert page.call("return Promise.all([0, 5, 9].map((at) => storage.getItem(String(at))))") == ["0", "5", "9"]


def test_refusals_have_a_code(page: LibraryPage) -> None:
    page.browser.run("IDBFactory.prototype.open = () => { throw new DOMException('off', 'SecurityError') }")
    assert page.refused("await storage.setItem('note', 'x')") == "storage_unavailable"


def test_full_disk_has_a_code(page: LibraryPage) -> None:
    page.browser.cdp("Storage.overrideQuotaForOrigin", origin=page.browser.origin, quotaSize=1)
    try:
        assert page.refused("await storage.setItem('note', 'x'.repeat(100000))") == "storage_full"
    finally:
        page.browser.cdp("Storage.overrideQuotaForOrigin", origin=page.browser.origin)
    page.call("await storage.setItem('note', 'x')")


def test_write_after_a_sign_out_is_refused(page: LibraryPage) -> None:
    """The key was destroyed while the text was being encrypted: nothing is kept under another one."""
    page.call("await storage.setItem('note', 'x')")
    page.browser.run(
        "const real = SubtleCrypto.prototype.encrypt; SubtleCrypto.prototype.encrypt = async function (...given) {"
        " await storage.destroy(); return real.apply(this, given); };"
    )
    assert page.refused("await storage.setItem('note', 'x')") == "storage_cleared"
    assert page.call(DUMP)["found"] == []
