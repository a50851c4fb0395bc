"""A small package to copy from, in the place of the whole one."""

from __future__ import annotations

from pathlib import Path

import pytest

from sessions_core.parts.copying import commands
from sessions_core.parts.copying.package import Package

from .projects import Project, copied, package


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The new version, 0.1.0, from which the commands copy."""
    folder = package(tmp_path / "package" / "sessions_core")
    monkeypatch.setattr(commands, "Package", lambda: Package(folder, "0.1.0"))
    return folder


@pytest.fixture
def project(tmp_path: Path, source: Path) -> Project:
    """A project with an unedited copy of the version before, 0.0.9, in no repository."""
    return copied(tmp_path / "project")
