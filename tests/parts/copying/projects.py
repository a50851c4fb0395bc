"""Projects with a copy, and small packages to copy from: a few files, so that a test can go through every step."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from sessions_core.parts.copying import commands, manifest, replacing

NAME = "sessions_core"
PAGE = "templates/sessions/status.html"
MODULE = "web/pages.py"
PICTURE = "static/picture.bin"
OLD: dict[str, bytes] = {
    "__init__.py": b"",
    MODULE: b"".join(b"line_%d = %d\n" % (number, number) for number in range(20)),
    PAGE: b"<h1>Status</h1>\n<p>one</p>\n<p>two</p>\n<p>three</p>\n<p>four</p>\n<p>five</p>\n",
    "templates/sessions/gone.html": b"<p>soon gone</p>\n",
    PICTURE: b"\0old",
    "parts/__init__.py": b"",
    "parts/ethereum/__init__.py": b"# wallets\n",
    "parts/devices/__init__.py": b"# devices\n",
    "parts/devices/pages.py": b"# pages\n",
}
NEW: dict[str, bytes] = {path: content for path, content in OLD.items() if path != "templates/sessions/gone.html"} | {
    MODULE: OLD[MODULE].replace(b"line_2 = 2", b"line_2 = 'new'"),
    PAGE: OLD[PAGE].replace(b"five", b"new five"),
    PICTURE: b"\0new",
    "web/added.py": b"# added\n",
}
PARTS = ("devices", "ethereum")


@dataclass
class Project:
    """A folder with an application of a team, which owns a copy."""

    folder: Path

    @property
    def copy(self) -> Path:
        return self.folder / NAME

    def read(self, path: str) -> bytes:
        return (self.copy / path).read_bytes()

    def edit(self, path: str, old: bytes, new: bytes) -> None:
        content = self.read(path)
        assert old in content
        (self.copy / path).write_bytes(content.replace(old, new))

    def write(self, path: str, content: bytes) -> None:
        (self.copy / path).parent.mkdir(parents=True, exist_ok=True)
        (self.copy / path).write_bytes(content)

    def describe(self, **changes: object) -> None:
        """Write the manifest anew with some of its fields changed, as an attacker would who knows its format."""
        import json

        import msgspec

        path = self.copy / manifest.FOLDER / "manifest.json"
        known = msgspec.json.decode(path.read_bytes(), type=manifest.Manifest)
        known = msgspec.structs.replace(known, **changes)
        known = msgspec.structs.replace(known, digest=known.computed_digest())
        path.write_text(json.dumps(msgspec.to_builtins(known)))


def copied(folder: Path, files: Mapping[str, bytes] = OLD, version: str = "0.0.9") -> Project:
    """Make a project with a copy of these files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "app.py").write_text("# the application\n")
    replacing.create(folder, {**files, **manifest.encode(version, PARTS, files)})
    return Project(folder)


def package(folder: Path, files: Mapping[str, bytes] = NEW) -> Path:
    """Write a package to copy from."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def run(command: str, *arguments: object) -> Result:
    return CliRunner().invoke(getattr(commands, command), [str(each) for each in arguments])


def git(folder: Path, *arguments: str) -> str:
    settings = ["-c", "user.name=Team", "-c", "user.email=team@example.org", "-c", "init.defaultBranch=main"]
    kept = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    environment = kept | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(
        ["git", *settings, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def commit(folder: Path) -> None:
    """Commit all there is, in a new repository if there is none."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "All of it")


def tree(folder: Path) -> dict[str, tuple[int, object]]:
    """Return everything in a folder, `.git` included: path → mode, and what is in it."""
    found: dict[str, tuple[int, object]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content: object = None
        if stat.S_ISLNK(status.st_mode):
            content = path.readlink()
        elif stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        found[str(path.relative_to(folder))] = (stat.S_IMODE(status.st_mode), content)
    return found
