"""A copy and an upgrade killed before each of their writes: nothing is lost, and the next run goes through."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ...constants import ROOT
from .projects import MODULE, NAME, Project, commit, run, tree

# Runs a command in a copy of the project for each write that it does, and ends the process before that write, as
# `kill -9` or a power cut would. Prints for each step the write that was not done any more.
KILLER = """
import json, os, shutil, sys
from pathlib import Path
from sessions_core.parts.copying import commands
from sessions_core.parts.copying.package import Package

command, source, project, cases = sys.argv[1:]
commands.Package = lambda: Package(Path(source), "0.1.0")
WRITES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.utime", "os.truncate", "shutil.copyfile"}
left, armed, report = 0, False, -1

def watch(event, arguments):
    global left
    writing = event == "open" and (arguments[1] or "r")[0] in "wxa"
    if armed and (writing or event in WRITES):
        if left == 0:
            os.write(report, json.dumps([event, str(arguments[0])]).encode())
            os._exit(9)
        left -= 1

sys.addaudithook(watch)
killed = []
while True:
    step = len(killed)
    case = Path(cases, str(step))
    shutil.copytree(project, case, symlinks=True)
    reader, report = os.pipe()
    if os.fork() == 0:
        left, armed = step, True
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        getattr(commands, command).main([str(case)], standalone_mode=False)
        os._exit(0)
    _, status = os.wait()
    os.close(report)
    if os.waitstatus_to_exitcode(status) == 0:
        break
    assert os.waitstatus_to_exitcode(status) == 9, status
    killed.append(json.loads(os.read(reader, 10_000)))
    os.close(reader)
print(json.dumps(killed))
"""


def killed_at_each_step(command: str, source: Path, project: Path, cases: Path) -> list[tuple[str, str]]:
    """Return the write before which each case in `cases` was killed; the case after the last one went through."""
    cases.mkdir()
    temporary = cases.parent / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KILLER, command, str(source), str(project), str(cases)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [(event, path) for event, path in json.loads(done.stdout)]


def written(folder: Path) -> dict[str, tuple[int, object]]:
    """Everything in a project but git's own files."""
    return {path: found for path, found in tree(folder).items() if not path.startswith(".git")}


@pytest.mark.parametrize("committed", [False, True])
def test_upgrade_killed_at_any_step_loses_nothing(
    project: Project, source: Path, tmp_path: Path, committed: bool
) -> None:
    project.edit(MODULE, b"line_15 = 15", b"line_15 = 'ours'")
    project.write("web/ours.py", b"# ours\n")
    if committed:
        commit(project.folder)
    before, cases = written(project.folder), tmp_path / "cases"
    steps = killed_at_each_step("upgrade", source, project.folder, cases)
    renames = [number for number, (event, _) in enumerate(steps) if event == "os.rename"]
    assert len(steps) > 40
    assert len(renames) == 2
    whole = written(cases / str(len(steps)))
    for number in range(len(steps)):
        case = cases / str(number)
        found = {path: what for path, what in written(case).items() if not path.startswith(".sessions_core")}
        if number <= renames[0]:
            assert found == before, steps[number]
        elif number == renames[1]:
            old = {path.replace(".sessions_core.old", NAME): what for path, what in written(case).items()}
            assert {path: old[path] for path in before} == before
            assert "Nothing is lost: run the command upgrade again" in run("status", case).stderr
            assert "Nothing is lost: run the command upgrade again" in run("copy", case).stderr
        else:
            assert found == whole, steps[number]
        done = run("upgrade", case)
        assert done.exit_code == 0, (steps[number], done.output)
        assert ("Nothing was changed" in done.output) == (number > renames[1]), steps[number]
        assert written(case) == whole, steps[number]


def test_copy_killed_at_any_step_leaves_no_half(tmp_path: Path, source: Path) -> None:
    empty, cases = tmp_path / "empty", tmp_path / "cases"
    empty.mkdir()
    (empty / "app.py").write_text("# the application\n")
    steps = killed_at_each_step("copy", source, empty, cases)
    (rename,) = [number for number, (event, _) in enumerate(steps) if event == "os.rename"]
    whole = written(cases / str(len(steps)))
    for number in range(len(steps)):
        case = cases / str(number)
        assert (case / NAME).exists() == (number > rename), steps[number]
        if number > rename:
            shutil.rmtree(case / NAME)
        done = run("copy", case)
        assert done.exit_code == 0, (steps[number], done.output)
        assert written(case) == whole, steps[number]
