"""All static files of the kernel and of the loaded parts, in memory, with one fingerprint over all of them."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import posixpath
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PACKAGE = Path(__file__).parents[2]

# `import "…"`, `import … from "…"` and `export … from "…"` at the beginning of a line, over several lines too. An
# `import("…")` loads later, if at all.
_IMPORT = re.compile(r"""^(?:import\s*|(?:import|export)\b[^"';]*?\bfrom\s*)"([^"\n]+)\"""", re.MULTILINE)


@dataclass(frozen=True)
class StaticFile:
    """One file: its bytes, its media type, and the SHA-256 of the bytes in hex."""

    content: bytes
    type: str
    digest: str

    @cached_property
    def compressed(self) -> bytes | None:
        """The bytes with gzip, made at first use; `None` if they would not get fewer (a picture)."""
        packed = gzip.compress(self.content, 9, mtime=0)
        return packed if len(packed) < len(self.content) else None

    @cached_property
    def imports(self) -> tuple[str, ...]:
        """What a module imports before it runs, as it is written there."""
        return tuple(_IMPORT.findall(self.content.decode("utf-8", "replace")))


class Snapshot:
    """The files at one time, by path: `static/css/base.css`, `parts/<part>/static/<file>`.

    `fingerprint` changes with any file and with `origin`: a CDN may have kept an answer that did not allow other
    origins yet.
    """

    def __init__(self, files: Mapping[str, StaticFile], origin: str) -> None:
        self.files = files
        digest = hashlib.sha256(origin.encode())
        for path, file in sorted(files.items()):
            digest.update(f"\0{path}\0{file.digest}".encode())
        self.fingerprint = digest.hexdigest()[:16]

    def closure(self, modules: Iterable[str]) -> list[str]:
        """Return these modules and all that they import, directly or not: each once, importers first."""
        found: dict[str, None] = {}
        waiting = list(modules)
        while waiting:
            path = waiting.pop(0)
            if path in self.files and path not in found:
                found[path] = None
                folder = posixpath.dirname(path)
                waiting += [posixpath.normpath(posixpath.join(folder, each)) for each in self.files[path].imports]
        return list(found)


class Snapshots:
    """The snapshot in use: the one of the start, or in development one of the files as they are now."""

    def __init__(self, parts: Iterable[str], origin: str, *, watched: bool) -> None:
        self._folders = [PACKAGE / "static", *(PACKAGE / "parts" / part / "static" for part in parts)]
        self._origin = origin
        self._watched = watched
        self._seen = self._look() if watched else None
        self._snapshot = self._read()

    def current(self) -> Snapshot:
        """Return the snapshot. In development it is taken again when a file has changed."""
        if self._watched:
            seen = self._look()
            if seen != self._seen:
                # Looked before it reads: a file that changes in between is read again at the next request.
                self._snapshot, self._seen = self._read(), seen
        return self._snapshot

    def _paths(self) -> Iterable[Path]:
        return (path for folder in self._folders for path in folder.rglob("*") if path.is_file())

    def _look(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for path in self._paths():
            with suppress(FileNotFoundError):  # an editor's temporary file
                status = path.stat()
                found[path] = (status.st_mtime_ns, status.st_size)
        return found

    def _read(self) -> Snapshot:
        files = {}
        for path in self._paths():
            with suppress(FileNotFoundError):
                content = path.read_bytes()
                kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
                name = path.relative_to(PACKAGE).as_posix()
                files[name] = StaticFile(content, kind, hashlib.sha256(content).hexdigest())
        return Snapshot(files, self._origin)
