"""The example of docs/parts.md, as it stands there: a part of an application's own."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask

from sessions_core import Misconfigured

from ..actors import Visitor, Wallet
from ..constants import ROOT


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Write the two files of the example, and import the module."""
    text = (ROOT / "docs" / "parts.md").read_text()
    for name, code in re.findall(r"^`([\w./]+)`:\n\n```\w+\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        place = tmp_path / name
        place.parent.mkdir(exist_ok=True)
        place.write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("announcement")
    del sys.modules["announcement"]


def test_example_is_about_forty_lines(example: ModuleType) -> None:
    lines = [line for line in Path(str(example.__file__)).read_text().splitlines() if line.strip()]
    assert len(lines) <= 40


def test_announcement_is_shown_until_it_was_read(make_app: Callable[..., Flask], example: ModuleType) -> None:
    app = make_app({"parts": ["ethereum", example.Announcement]}, SESSIONS_CORE_ANNOUNCEMENT="Closed on Sunday.")
    visitor = Visitor(app)
    visitor.sign_in(Wallet())
    assert "Closed on Sunday." in visitor.get("/session").get_data(as_text=True)
    assert visitor.submit("/announcement/read").status_code == 303
    assert "Closed on Sunday." not in visitor.get("/session").get_data(as_text=True)


def test_route_of_the_part_refuses_visitors(make_app: Callable[..., Flask], example: ModuleType) -> None:
    app = make_app({"parts": ["ethereum", example.Announcement]})
    assert Visitor(app).post("/announcement/read").status_code in (303, 400)


def test_unsafe_setting_of_the_part_is_refused(make_app: Callable[..., Flask], example: ModuleType) -> None:
    with pytest.raises(Misconfigured, match="over 200 characters"):
        make_app({"parts": ["ethereum", example.Announcement]}, SESSIONS_CORE_ANNOUNCEMENT="x" * 201)
