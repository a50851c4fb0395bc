"""Merges a newer version into a copy, file by file and three-way: as copied, as edited, as new."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .git import clean_environment, executable
from .refused import Refused

BESIDE = ".upstream"
"""Ending of a file of the new version that lies beside an edited one because they could not be merged."""
_MINE = "edited here"
_MARKERS = re.compile(rb"^<{7} " + _MINE.encode() + rb"\r?$", re.M)


@dataclass
class Comparison:
    """What happened to each file of a version since it was copied: here (`edited` …), and upstream (`changed` …)."""

    edited: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    """What an upgrade does to a copy. Paths are below `sessions_core/`."""

    written: dict[str, bytes] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    merged: list[str] = field(default_factory=list)
    left_deleted: list[str] = field(default_factory=list)
    """Files that the project has deleted, and that the new version has changed."""
    conflicts: dict[str, str] = field(default_factory=dict)
    """Path → what to do about it."""


def compare(base: Mapping[str, bytes], mine: Mapping[str, bytes], theirs: Mapping[str, bytes]) -> Comparison:
    """Compare the files of a copy as they were copied, as they are, and as the new version has them."""
    found = Comparison()
    for path in sorted(base.keys() | theirs.keys()):
        was, here, new = base.get(path), _unix(mine.get(path), base.get(path)), theirs.get(path)
        if was is not None and here != was:
            (found.edited if here is not None else found.deleted).append(path)
        if was != new:
            (found.added if was is None else found.removed if new is None else found.changed).append(path)
    return found


def merge(
    base: Mapping[str, bytes], mine: Mapping[str, bytes], theirs: Mapping[str, bytes], label: str, new_label: str
) -> Outcome:
    """Merge what the new version changed into the files of a copy; no edit is ever dropped.

    `label` and `new_label` name the two versions in conflict markers. Raises `Refused` if git can't merge.
    """
    outcome = Outcome()
    for path in sorted(base.keys() | theirs.keys()):
        was, new = base.get(path), theirs.get(path)
        here = _unix(mine.get(path), was)
        if new in (was, here):
            continue  # the version has nothing new, or the copy has it already
        if here == was:
            if new is None:
                outcome.removed.add(path)
            else:
                outcome.written[path] = new
        elif here is None:
            outcome.left_deleted.append(path)
        elif new is None:
            outcome.conflicts[path] = "edited here, and not in the new version. It was kept; delete it or keep it"
        elif was is None or b"\0" in was + here + new:
            outcome.written[path + BESIDE] = new
            outcome.conflicts[path] = f"kept as it was. Compare it with {path}{BESIDE}, then delete that file"
        else:
            text, clean = _merge_text(here, was, new, label, new_label)
            outcome.written[path] = text
            if clean:
                outcome.merged.append(path)
            else:
                outcome.conflicts[path] = "both changed the same lines. Edit them between the markers"
    return outcome


def unresolved(mine: Mapping[str, bytes], names: Iterable[str]) -> list[str]:
    """Return the files with conflicts of an earlier upgrade. `mine` are files of a version, `names` all files."""
    marked = [path for path, content in mine.items() if _MARKERS.search(content)]
    return sorted([*marked, *(name for name in names if name.endswith(BESIDE))])


def _unix(mine: bytes | None, base: bytes | None) -> bytes | None:
    """Return a file without the line endings that git gives to files on Windows."""
    if mine is None or base is None or b"\r\n" in base or b"\0" in mine:
        return mine
    return mine.replace(b"\r\n", b"\n")


def _merge_text(mine: bytes, base: bytes, theirs: bytes, label: str, new_label: str) -> tuple[bytes, bool]:
    """Return the merged text, and whether no conflict is in it."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("mine", mine), ("base", base), ("theirs", theirs)):
            Path(folder, name).write_bytes(content)
        labels = [word for each in (_MINE, label, new_label) for word in ("-L", each)]
        command = [executable(), "merge-file", "-p", "-q", *labels, "mine", "base", "theirs"]
        # Settings of the user, such as merge.conflictStyle, would change what is looked for afterwards.
        environment = clean_environment() | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        environment["GIT_CEILING_DIRECTORIES"] = str(Path(folder).parent)
        done = subprocess.run(  # noqa: S603 - no shell, and no word of the command is foreign
            command, cwd=folder, env=environment, capture_output=True, check=False
        )
    if done.returncode > 127:  # up to that it is the number of conflicts
        raise Refused(f"git could not merge: {done.stderr.decode(errors='replace').strip()}. Nothing was changed.")
    return done.stdout, done.returncode == 0
