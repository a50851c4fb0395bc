"""The secret that development makes for itself: a file for its owner only, one secret a line, the newest last.

It is written under a lock and moved into place whole: of two processes that make it or rotate it at once, both know
every secret that anything was encrypted with.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)


def read(path: Path) -> list[str]:
    """Return the secrets of a file, newest last; one that is missing or empty is made, with one secret."""
    known = _secrets(path)
    if not known:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(path.parent):
            known = _secrets(path)  # another process may have made it while this one waited
            if not known:
                known = _write(path, [secrets.token_urlsafe(32)])
                logger.warning("Made a secret for development and kept it in %s", path)
    return known


def rotate(path: Path) -> int:
    """Put a new secret behind those of a file; return how many it holds now. Raises `OSError` if it can't be written.

    The former ones stay: what they encrypted can still be decrypted.
    """
    with _alone(path.parent):
        return len(_write(path, [*_secrets(path), secrets.token_urlsafe(32)]))


def _secrets(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except FileNotFoundError:
        return []


def _write(path: Path, known: list[str]) -> list[str]:
    handle, name = tempfile.mkstemp(dir=path.parent)  # mode 0600, whatever the umask
    try:
        with os.fdopen(handle, "w") as file:
            file.write("\n".join(known))
            file.flush()
            os.fsync(handle)  # or a power cut leaves an empty file, and signs all users out
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    return known


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    if importlib.util.find_spec("fcntl") is None:
        yield  # Windows has no such lock. Of two processes that make the file at once, the later one wins.
        return
    import fcntl

    # The folder itself is locked: a file for it would stay behind, and the file of the secrets is replaced.
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
