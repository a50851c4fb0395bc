"""The package that runs: which files a copy of it has, which parts there are, and what has to be installed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ... import part
from ...part import Part
from .refused import Refused

VERSION = "0.1.0"
"""The version of the distribution. A checkout has no metadata to ask; a test compares it with pyproject.toml."""
KERNEL_LIBRARIES = (
    "flask>=3.1.1",
    "flask-session>=0.8,<0.9",
    "flask-wtf>=1.2.2",
    "itsdangerous>=2.2",
    "redis[hiredis]>=5.2",
    "msgspec>=0.19",
    "cryptography>=44",
    "humanize>=4.12",
    "eth-account>=0.13.4",
    "coincurve>=20; python_version < '3.14'",
    "pycryptodome>=3.20",
)
"""What every copy needs, as in pyproject.toml."""
OWN_PART = Path(__file__).parent.name


@dataclass(frozen=True)
class Package:
    """A version of `sessions_core/` to copy from."""

    folder: Path = Path(part.__file__).parent
    version: str = VERSION

    def files(self, parts: Iterable[str]) -> dict[str, bytes]:
        """Return the files of the kernel and of some parts, by their path with "/" below `sessions_core/`."""
        wanted = set(parts)
        found = {}
        for folder, folders, names in os.walk(self.folder):
            place = Path(folder).relative_to(self.folder)
            folders[:] = [each for each in folders if each != "__pycache__" and not each.startswith(".")]
            if place.parts == ("parts",):
                folders[:] = [each for each in folders if each in wanted]
            for name in names:
                # Neither what Python compiles nor what editors leave in a checkout.
                if not name.startswith(".") and not name.endswith((".pyc", "~")):
                    found[(place / name).as_posix()] = (self.folder / place / name).read_bytes()
        return found


def known_parts() -> tuple[str, ...]:
    """Return the parts that a copy can have."""
    return tuple(name for name in part.available() if name != OWN_PART)


def with_needed(names: Iterable[str]) -> tuple[str, ...]:
    """Return parts with those that they need, in alphabetical order. Raises `Refused` for one that does not exist."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in known_parts():
            raise Refused(f"There is no part {name!r} to copy. The parts are {', '.join(known_parts())}.")
        if name not in found:
            found.add(name)
            waiting += part.class_of(name).needs
    return tuple(sorted(found))


def named(names: str) -> tuple[str, ...]:
    """Return the parts that a user has listed with commas, with those that they need.

    Raises `Refused` for a part that does not exist, and if none brings a kind of account.
    """
    found = with_needed(each.strip() for each in names.split(",") if each.strip())
    if not any(part.class_of(name).verifiers for name in found):
        raise Refused("No kind of account could sign in. Add a part that brings one to --parts, such as ethereum.")
    return found


def requirements(parts: Iterable[str]) -> list[str]:
    """Return what `pip install` takes for the kernel and these parts."""
    of_parts = (line for name in parts for line in part.class_of(name).libraries.values())
    by_name: dict[str, str] = {}
    for line in (*KERNEL_LIBRARIES, *of_parts):
        by_name.setdefault(line.partition(">=")[0], line)
    return list(by_name.values())


def brings_redis(parts: Iterable[str]) -> bool:
    """Return whether one of these parts has a Redis for development."""
    return any(
        part.class_of(name).redis_url.__func__ is not Part.redis_url.__func__  # type: ignore[attr-defined]
        for name in parts
    )
