"""The commands themselves.

    python -m sessions_core copy TARGET [--parts ethereum,devices]
    python -m sessions_core status [TARGET]
    python -m sessions_core upgrade [TARGET] [--parts …]

TARGET is the folder of a project; the copy in it is `sessions_core/`. The newer version is the package that runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from . import manifest, merging, package, replacing
from .git import refuse_uncommitted
from .manifest import Manifest
from .package import Package
from .refused import Refused, shown
from .replacing import NAME, Stamp

_LINES = f"""\
    from {NAME} import WalletSessions, current_account, signed_in

    app.config["SESSIONS_CORE_DEVELOPMENT"] = True
"""
_REDIS = '    app.config["SESSIONS_CORE_REDIS_URL"] = "redis://localhost:6379/0"\n'
_PARTS = click.option("--parts", metavar="NAMES", help="Parts with commas between them; those they need come along.")
_TARGET = click.argument("target", type=click.Path(path_type=Path), default=".")


@dataclass(frozen=True)
class Copy:
    """A copy as it lies in a project."""

    folder: Path
    manifest: Manifest
    originals: dict[str, bytes]
    stamps: dict[str, Stamp]
    """All its files, those of the project's own included: what tells whether one has changed."""

    def mine(self, theirs: Iterable[str]) -> dict[str, bytes]:
        """Return the content, as it is now, of each file that the old or the new version has."""
        return replacing.contents(self.folder, (self.originals.keys() | set(theirs)) & self.stamps.keys())

    def has(self, name: str) -> bool:
        """Return whether the folder of a part is there."""
        return f"parts/{name}/__init__.py" in self.stamps


@click.command("copy")
@click.argument("target", type=click.Path(path_type=Path))
@_PARTS
def copy(target: Path, parts: str | None) -> None:
    """Copy the kernel and parts into TARGET, the folder of a project. Without --parts, all parts."""
    target, source = _folder(target), Package()
    chosen = package.known_parts() if parts is None else package.named(parts)
    own = source.folder.resolve()
    if target.is_relative_to(own) or target / NAME == own:
        raise Refused(f"{shown(target)} holds the package that would be copied. Name the folder of your project.")
    with replacing.locked(target):
        _refuse_occupied(target / NAME)
        replacing.refuse_interrupted(target)
        refuse_uncommitted(target, NAME)
        replacing.clean_up(target)
        files = source.files(chosen)
        replacing.create(target, files | manifest.encode(source.version, chosen, files))
    lines = sum(content.count(b"\n") for path, content in files.items() if path.endswith(".py"))
    click.echo(f"Copied version {source.version} to {shown(target / NAME)}.")
    click.echo(f"It has {len(files)} files, {lines:,} lines of Python, and the parts {', '.join(chosen)}.")
    _say_install(chosen)
    redis = "" if package.brings_redis(chosen) else _REDIS
    click.echo(f"\nAdd to your app:\n\n{_LINES}{redis}    WalletSessions(app)\n")
    click.echo("Each route then says who may use it, such as @signed_in. docs/integrate.md goes on from here.")
    click.echo(f"Commit {NAME}/ with its folder {manifest.FOLDER}/, which upgrades need.")


@click.command("status")
@_TARGET
def status(target: Path) -> None:
    """List what the copy in TARGET has edited, and what this version has new."""
    target, source = _folder(target), Package()
    replacing.refuse_interrupted(target)
    found = _read(target, source)
    theirs = source.files(_parts(found))
    mine = found.mine(theirs)
    news = merging.compare(found.originals, mine, theirs)
    known = found.manifest
    click.echo(f"{shown(found.folder)} has version {known.version} with the parts {', '.join(known.parts)}.")
    own = found.stamps.keys() - found.originals.keys()
    _say("Edited here", [*_lines("edited", news.edited), *_lines("deleted", news.deleted), *_lines("added", own)])
    too = "  (edited here, too)"
    changed = [path + too * (path in news.edited) for path in news.changed]
    removed = [path + too * (path in news.edited) for path in news.removed]
    new = [*_lines("changed", changed), *_lines("added", news.added), *_lines("removed", removed)]
    _say(f"New in version {source.version}", new)
    _say("Conflicts that are not resolved", merging.unresolved(mine, found.stamps))


@click.command("upgrade")
@_TARGET
@_PARTS
def upgrade(target: Path, parts: str | None) -> None:
    """Merge this version into the copy in TARGET. Edits are kept; conflicts are printed, with exit code 1.

    With --parts, the copy has these parts from then on.
    """
    target, source = _folder(target), Package()
    wanted = None if parts is None else package.named(parts)
    with replacing.locked(target):
        replacing.clean_up(target)
        found = _read(target, source)
        known, base = found.manifest, found.originals
        chosen = _parts(found) if wanted is None else wanted
        theirs = source.files(chosen)
        mine = found.mine(theirs)
        _refuse_unresolved(found, mine)
        if (theirs, source.version, chosen) == (base, known.version, known.parts):
            click.echo(f"{shown(found.folder)} has all of version {source.version}. Nothing was changed.")
            return
        refuse_uncommitted(target, NAME)
        if wanted is not None:
            # A part whose folder was deleted, and that is wanted again, comes back whole.
            absent = tuple(f"parts/{name}/" for name in wanted if not found.has(name))
            base = {path: content for path, content in base.items() if not path.startswith(absent)}
        outcome = merging.merge(base, mine, theirs, f"version {known.version}", f"version {source.version}")
        files = outcome.written | manifest.encode(source.version, chosen, theirs)
        replacing.replace(target, found.stamps.keys() - outcome.removed, files, found.stamps)
    click.echo(f"Upgraded {shown(found.folder)} from version {known.version} to {source.version}.")
    click.echo(f"Files written: {len(outcome.written)}, removed: {len(outcome.removed)}. Parts: {', '.join(chosen)}.")
    _say("Merged with your edits", outcome.merged)
    _say("Changed in the new version, and still deleted here", outcome.left_deleted)
    _say_install(chosen)
    if outcome.conflicts:
        conflicts = "".join(f"\n  {shown(path)}: {what}." for path, what in outcome.conflicts.items())
        raise click.ClickException(f"Conflicts: {len(outcome.conflicts)}. Resolve them, then commit.{conflicts}")
    click.echo("\nRun your tests, then commit.")


def _folder(target: Path) -> Path:
    if not os.path.isdir(target):
        raise Refused(f"There is no folder {shown(target)}. Make it first, or name the folder of your project.")
    return target.resolve()


def _refuse_occupied(copy: Path) -> None:
    if not os.path.lexists(copy):
        return
    if os.path.isdir(copy / manifest.FOLDER):
        raise Refused(f"{shown(copy)} is a copy already. Run the command upgrade, which keeps your edits.")
    raise Refused(f"{shown(copy)} is there already, and not made by this command. Move it away, or copy elsewhere.")


def _read(target: Path, source: Package) -> Copy:
    """Read the copy in a folder; raise `Refused` if there is none, or none that `source` can upgrade."""
    folder = target / NAME
    if not os.path.lexists(folder):
        raise Refused(f"There is no copy {NAME}/ in {shown(target)}. Name the folder in which it lies.")
    stamps = replacing.local_files(folder)
    known, originals = manifest.read(folder)
    if manifest.order(known.version) > manifest.order(source.version):
        raise Refused(
            f"The copy has version {known.version}, and this is version {source.version}. Run the command from "
            f"version {known.version}, or from a later one."
        )
    return Copy(folder, known, originals, stamps)


def _refuse_unresolved(found: Copy, mine: dict[str, bytes]) -> None:
    if left := merging.unresolved(mine, found.stamps):
        raise Refused(
            f"{', '.join(map(shown, left))} in {shown(found.folder)}: a conflict of an earlier upgrade is not "
            f"resolved. Edit the marked lines, delete files that end in {merging.BESIDE}, and commit. Then run the "
            "command again."
        )


def _parts(found: Copy) -> tuple[str, ...]:
    """Return the parts of a copy that are still there, with those that the new version needs for them.

    A part whose folder the project has deleted stays away. One that the new version does not have goes.
    """
    known = package.known_parts()
    return package.with_needed(name for name in found.manifest.parts if found.has(name) and name in known)


def _say_install(chosen: Iterable[str]) -> None:
    wanted = " ".join(f'"{each}"' for each in package.requirements(chosen))
    click.echo(f"\nPackages that it needs:\n\n    pip install {wanted}")


def _lines(what: str, paths: Iterable[str]) -> list[str]:
    return [f"{what:8} {path}" for path in sorted(paths)]


def _say(heading: str, lines: Iterable[str]) -> None:
    if found := list(lines):
        click.echo(f"\n{heading}:\n" + "\n".join(f"  {shown(line)}" for line in found))
