"""The secret of development in its file: made once, rotated without loss, whoever does it at the same time."""

from __future__ import annotations

import logging
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sessions_core.storage import secret_file

from ..constants import ROOT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "instance" / "secret_key"


def test_a_file_that_is_missing_is_made_for_its_owner_only(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    [secret] = secret_file.read(path)
    assert len(secret) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert secret_file.read(path) == [secret]
    assert len(caplog.records) == 1
    assert secret not in caplog.text


def test_an_empty_file_is_made_anew(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("\n \n")
    [secret] = secret_file.read(path)
    assert len(secret) >= 43
    assert secret_file.read(path) == [secret]


def test_rotation_appends_a_secret_and_keeps_the_former_ones(path: Path) -> None:
    first = secret_file.read(path)
    assert secret_file.rotate(path) == 2
    second = secret_file.read(path)
    assert second[:-1] == first
    assert secret_file.rotate(path) == 3
    third = secret_file.read(path)
    assert third[:-1] == second
    assert len(set(third)) == 3
    assert path.read_text().splitlines() == third
    assert [each.name for each in path.parent.iterdir()] == ["secret_key"]


@pytest.mark.parametrize("umask", [0, 0o077])
def test_a_rotated_file_is_for_its_owner_only_whatever_the_umask(path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        secret_file.read(path)
        path.chmod(0o644)
        secret_file.rotate(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_hand_edited_secrets_are_read_without_whitespace(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("an older secret with spaces in it  \r\n\n  the newest one, and after it a line feed\n")
    assert secret_file.read(path) == ["an older secret with spaces in it", "the newest one, and after it a line feed"]


def test_a_rotation_that_fails_leaves_the_file_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = secret_file.read(path)

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(secret_file.os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        secret_file.rotate(path)
    monkeypatch.undo()
    assert secret_file.read(path) == known
    assert [each.name for each in path.parent.iterdir()] == ["secret_key"]


def test_nothing_logs_a_secret(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret_file.read(path)
    secret_file.rotate(path)
    assert not any(secret in caplog.text for secret in secret_file.read(path))


def test_concurrent_processes_lose_no_secret_in_the_file(path: Path) -> None:
    """They create and rotate the file at the same time, and readers never see half a file."""
    script = """
import itertools, sys
from pathlib import Path
from sessions_core.storage import secret_file as keyfile
path, enough = map(Path, sys.argv[1:])
sys.stdin.readline()
keyfile.read(path)
for count in itertools.count(1):
    keyfile.rotate(path)
    if count >= 25 and enough.exists():
        break
print(count)
"""
    path.parent.mkdir()
    enough = path.with_name("enough")
    command = [sys.executable, "-c", script, str(path), str(enough)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    others = [subprocess.Popen(command, cwd=ROOT, text=True, **pipes) for _ in range(4)]  # type: ignore[call-overload]
    seen: list[list[str]] = []
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            seen.append(secret_file.read(path))
            if len({len(each) for each in seen}) > 3:  # it was read while it was written
                enough.touch()

    reader = threading.Thread(target=look)
    reader.start()
    for each in others:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    counts = [int(each.communicate(timeout=60)[0]) for each in others]
    done.set()
    reader.join()
    final = secret_file.read(path)
    assert len(final) == len(set(final)) == 1 + sum(counts)
    assert min(counts) >= 25
    assert all(each == final[: len(each)] for each in seen), (
        "each reader saw a whole file, with all secrets until then"
    )
