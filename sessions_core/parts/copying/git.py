"""What these commands ask git: whether a copy has edits that are not committed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from .refused import Refused, shown


def executable() -> str:
    """Return the path of git; raise `Refused` if it is not installed."""
    found = shutil.which("git")
    if found is None:
        raise Refused("Git merges the versions, and it is not installed. Install git, then run the command again.")
    return found


def clean_environment() -> dict[str, str]:
    """Return the environment without what git hooks set, which would lead git to another repository."""
    return {name: text for name, text in os.environ.items() if not name.startswith("GIT_")} | {"LC_ALL": "C"}


def refuse_uncommitted(target: Path, name: str) -> None:
    """Raise `Refused` if `target` is in a git repository and `name` in it has changes that are not committed."""
    if shutil.which("git") is None or not any((each / ".git").exists() for each in (target, *target.parents)):
        return
    # A repository may name a program to watch its files; and nothing is written, not even git's own index.
    command = [executable(), "--no-optional-locks", "-c", "core.fsmonitor=false", "status", "--porcelain", "-z"]
    command += ["--untracked-files=all", "--no-renames", "--", name]
    done = subprocess.run(  # noqa: S603 - no shell, and no word of the command is foreign
        command, cwd=target, env=clean_environment(), capture_output=True, check=False
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise Refused(f"Git can't tell what is committed in {shown(target)} ({shown(reason)}). Mend that first.")
    changed = [os.fsdecode(line[3:]) for line in done.stdout.split(b"\0") if line]
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise Refused(
            f"{', '.join(map(shown, changed[:3]))}{more} in {shown(target)}: changed and not committed. Commit or "
            "undo that first, so that you can always go back."
        )
