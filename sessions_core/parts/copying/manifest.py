"""What a copy knows of its origin, in `sessions_core/.upstream/`: version, parts, hashes, and the original files.

`manifest.json` is for people and for reviews; `originals.zip` has the unedited files, the base of three-way merges
(docs/design.md, "What a copy is merged with"). Both may come from a stranger's repository, so they are checked before
a word in them is used, and no path in them is ever written to.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from .refused import Refused, shown

FOLDER = ".upstream"
_FORMAT = 1
_LARGEST = 16 << 20  # bytes of each of the two files, and of all originals together
_BROKEN = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError)
_PATH = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*/)*[A-Za-z0-9_][A-Za-z0-9_.-]*", re.ASCII)
_VERSION = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6}){0,3}", re.ASCII)


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `manifest.json` holds."""

    format: int
    version: str
    parts: tuple[str, ...]
    files: dict[str, str]
    """Path below `sessions_core/` → SHA-256 of the file as it was copied."""
    originals: str
    """SHA-256 of `originals.zip`."""
    digest: str = ""
    """SHA-256 of all of the above, so that an edit or a bad merge is noticed. It keeps no attacker out."""

    def computed_digest(self) -> str:
        """Return what `digest` has to be."""
        fields = msgspec.to_builtins(msgspec.structs.replace(self, digest=""))
        return _sha256(json.dumps(fields, sort_keys=True).encode())


class _Format(msgspec.Struct):
    format: int


def encode(version: str, parts: tuple[str, ...], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files to write for a copy, by their path below `sessions_core/`."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(files):
            # Without times and modes: the same files make the same archive.
            archive.writestr(zipfile.ZipInfo(path), files[path], zipfile.ZIP_DEFLATED, 9)
    hashes = {path: _sha256(files[path]) for path in sorted(files)}
    manifest = Manifest(_FORMAT, version, parts, hashes, _sha256(packed.getvalue()))
    manifest = msgspec.structs.replace(manifest, digest=manifest.computed_digest())
    text = json.dumps(msgspec.to_builtins(manifest), indent=1) + "\n"
    return {f"{FOLDER}/manifest.json": text.encode(), f"{FOLDER}/originals.zip": packed.getvalue()}


def read(copy: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest of the copy in a folder, and its files as they were copied.

    Raises `Refused` if there is none, if it has changed, and for whatever an honest one can't hold.
    """
    folder = copy / FOLDER
    if not os.path.exists(folder / "manifest.json"):
        raise Refused(
            f"{shown(copy)} has no {FOLDER}/manifest.json, so its version is unknown. Restore {FOLDER} from your "
            "version control; without one, move the folder away, copy again, and make your edits there."
        )
    manifest = _manifest(_content(folder, "manifest.json"), folder)
    packed = _content(folder, "originals.zip")
    if _sha256(packed) != manifest.originals:
        raise _changed(folder, "originals.zip is not the one that the manifest was written with")
    return manifest, _originals(packed, manifest, folder)


def order(version: str) -> tuple[int, ...]:
    """Return a version as numbers to compare."""
    return tuple(int(number) for number in version.split("."))


def _manifest(text: bytes, folder: Path) -> Manifest:
    try:
        if (number := msgspec.json.decode(text, type=_Format).format) != _FORMAT:
            raise Refused(
                f"{shown(folder)} has format {number}, which this version does not know. Run the command from the "
                "version that wrote it, or a later one."
            )
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _changed(folder, "manifest.json can't be read") from error
    if manifest.digest != manifest.computed_digest():
        raise _changed(folder, "manifest.json was edited")
    if not _VERSION.fullmatch(manifest.version):
        raise _changed(folder, "the version is none that was ever released")
    names = [*manifest.files, *manifest.parts]
    if not all(_PATH.fullmatch(name) for name in names) or len({name.lower() for name in names}) != len(names):
        raise _changed(folder, "manifest.json names files that no version has")
    return manifest


def _originals(packed: bytes, manifest: Manifest, folder: Path) -> dict[str, bytes]:
    found, room = {}, _LARGEST
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            if sorted(archive.namelist()) != sorted(manifest.files):
                raise _changed(folder, "originals.zip has other files than manifest.json")
            for path, expected in manifest.files.items():
                with archive.open(path) as original:
                    content = original.read(room + 1)  # an archive of a megabyte can hold a terabyte
                room -= len(content)
                if room < 0:
                    raise _changed(folder, "originals.zip holds more than any version")
                if _sha256(content) != expected:
                    raise _changed(folder, f"{path} in originals.zip is not the file of the manifest")
                found[path] = content
    except _BROKEN as error:
        raise _changed(folder, "originals.zip can't be read") from error
    return found


def _content(folder: Path, name: str) -> bytes:
    """Return the content of a regular file; a link could make the command read another one, or wait for a pipe."""
    if folder.is_symlink():
        raise _changed(folder, "it is a symbolic link")
    path = folder / name
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            raise _changed(folder, f"{name} is no regular file of at most 16 MB")
        return path.read_bytes()
    except OSError as error:
        raise _changed(folder, f"{name} can't be read ({error.strerror})") from error


def _changed(folder: Path, what: str) -> Refused:
    return Refused(
        f"{shown(folder)} is not as it was written: {what}. Restore it from your version control, then run the "
        "command again."
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
