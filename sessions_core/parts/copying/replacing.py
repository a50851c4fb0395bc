"""Puts a whole folder in the place of another, so that an interruption loses nothing.

The new folder is built beside the copy. Two renames put it in place, so the copy is either the one of before or the
whole new one. Between the two, and only there, it is missing; the next command that writes renames it back.

    .sessions_core.new   being built; without .sessions_core.old beside it nothing refers to it yet
    .sessions_core.old   the copy of before: moved away, or about to be deleted
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from . import manifest
from .refused import Refused, shown

NAME = "sessions_core"
Stamp = tuple[int, ...]
"""Time, size and inode of a file."""
_NEW, _OLD = f".{NAME}.new", f".{NAME}.old"


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Keep other copies and upgrades out of a folder. Raises `Refused` if one is running.

    The lock is on the folder itself, so no file is left over. Windows has none; there two upgrades at once meet at
    the folder that both want to make.
    """
    if importlib.util.find_spec("fcntl") is None:
        yield
        return
    import fcntl

    handle = os.open(target, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Refused(f"Another copy or upgrade is running in {shown(target)}. Wait for its end.") from error
        except OSError:
            pass  # some network file systems have no locks
        yield
    finally:
        os.close(handle)


def refuse_interrupted(target: Path) -> None:
    """Raise `Refused` if an upgrade was interrupted while the copy was moved away."""
    if not os.path.lexists(target / NAME) and (target / _OLD).is_dir():
        raise Refused(
            f"An upgrade of {shown(target / NAME)} was interrupted. Nothing is lost: run the command upgrade again."
        )


def clean_up(target: Path) -> None:
    """Undo or finish what an interrupted command left.

    Raises `Refused` for links, which no command makes, and if something else was put in the place of the copy.
    """
    new, old = target / _NEW, target / _OLD
    for path in (new, old):
        if path.is_symlink():
            raise Refused(f"{shown(path)} is a symbolic link, which this command never makes. Remove it.")
    if old.exists() and os.path.lexists(target / NAME) and not os.path.exists(target / NAME / manifest.FOLDER):
        raise Refused(
            f"{shown(old)} is your copy before an interrupted upgrade, and {shown(target / NAME)} is none. Move that "
            "away, then run the command again."
        )
    with _written(target):
        if old.exists() and not os.path.lexists(target / NAME):
            old.rename(target / NAME)
        for path in (new, old):
            if path.exists():
                shutil.rmtree(path)


def local_files(copy: Path) -> dict[str, Stamp]:
    """Return the files of a copy, but for the manifest and the originals: path → what tells whether it has changed.

    Raises `Refused` if the copy is missing, or holds links, pipes or the like: a link would lead out of it.
    """
    if copy.is_symlink() or not copy.is_dir():
        kind = "is a symbolic link" if copy.is_symlink() else "is no folder"
        raise Refused(f"{shown(copy)} {kind}. Name the folder in which the copy {NAME}/ lies.")
    found: dict[str, Stamp] = {}
    with _readable(copy):
        for folder, folders, names in os.walk(copy, onerror=_fail):
            place = Path(folder)
            folders[:] = [each for each in folders if each != "__pycache__"]
            if place == copy:
                folders[:] = [each for each in folders if each != manifest.FOLDER]
            for name in (*folders, *names):
                status = (place / name).lstat()
                if stat.S_ISREG(status.st_mode):
                    path = (place / name).relative_to(copy).as_posix()
                    found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
                elif not stat.S_ISDIR(status.st_mode):
                    raise Refused(
                        f"{shown(place / name)} is neither a file nor a folder. Replace it by the file that it "
                        "stands for, or move it out of the copy."
                    )
    return found


def contents(copy: Path, paths: Iterable[str]) -> dict[str, bytes]:
    """Return the content of files of a copy; raise `Refused` if one can't be read."""
    with _readable(copy):
        return {path: (copy / path).read_bytes() for path in paths}


def create(target: Path, files: Mapping[str, bytes]) -> None:
    """Make the copy in `target` of these files, all at once. Raises `Refused`, and then nothing was changed."""
    with _built(target) as new:
        for path, content in files.items():
            _write(new / path, content)
        new.rename(target / NAME)


def replace(target: Path, kept: Iterable[str], files: Mapping[str, bytes], before: Mapping[str, Stamp]) -> None:
    """Replace the copy in `target` all at once by its files `kept` and by new `files`, which win.

    `before` is what `local_files` returned before the merge. Raises `Refused` if a file has changed since then.
    """
    copy, old = target / NAME, target / _OLD
    _refuse_clashes({*kept, *files})
    with _built(target) as new:
        for path in kept:
            if path not in files:
                (new / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(copy / path, new / path)
        for path, content in files.items():
            _write(new / path, content)
            if (copy / path).exists():
                shutil.copymode(copy / path, new / path)
        if hasattr(os, "sync"):
            os.sync()  # a power cut after the renames would leave empty files, and the copy of before is deleted
        copy.rename(old)
        try:
            # Now that no program finds them any more: an edit that was saved until here would be lost.
            if local_files(old) != before:
                raise Refused(
                    f"A file in {shown(copy)} has changed meanwhile. Commit it, then run the command again."
                )
            new.rename(copy)
        except BaseException:
            old.rename(copy)
            raise
    shutil.rmtree(old, ignore_errors=True)  # what stays is deleted by the next upgrade


@contextmanager
def _built(target: Path) -> Iterator[Path]:
    """Make the folder to build in, and remove it unless it was renamed."""
    new = target / _NEW
    with _written(target):
        new.mkdir()
        try:
            yield new
        finally:
            shutil.rmtree(new, ignore_errors=True)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _refuse_clashes(paths: set[str]) -> None:
    for path in sorted(paths):
        for parent in Path(path).parents:
            if parent.as_posix() in paths:
                raise Refused(
                    f"{shown(parent.as_posix())} is a file in one version and a folder in the other. Rename yours."
                )


@contextmanager
def _written(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(
            f"Writing to {shown(target)} failed ({error.strerror}). Nothing was changed. Mend that, then run the "
            "command again."
        ) from error


@contextmanager
def _readable(copy: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(
            f"{shown(error.filename or copy)} can't be read ({error.strerror}). Mend that first."
        ) from error


def _fail(error: OSError) -> None:
    raise error
