"""What an upgrade does with each kind of file, and what `status` says of it beforehand."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from sessions_core.parts.copying import manifest

from .projects import MODULE, NAME, NEW, OLD, PAGE, PICTURE, Project, commit, copied, run, tree


def files(project: Project) -> dict[str, bytes]:
    """The files of the copy, without manifest and originals."""
    return {
        path.removeprefix(f"{NAME}/"): content
        for path, (_, content) in tree(project.folder).items()
        if path.startswith(f"{NAME}/") and isinstance(content, bytes) and manifest.FOLDER not in path.split("/")
    }


def test_unedited_copy_becomes_the_new_version(project: Project) -> None:
    done = run("upgrade", project.folder)
    assert done.exit_code == 0, done.output
    assert files(project) == NEW
    known, originals = manifest.read(project.copy)
    assert (known.version, known.parts, originals) == ("0.1.0", ("devices", "ethereum"), NEW)
    assert sorted(path.name for path in project.folder.iterdir()) == ["app.py", NAME]


def test_second_upgrade_changes_nothing(project: Project) -> None:
    run("upgrade", project.folder)
    before = tree(project.folder)
    done = run("upgrade", project.folder)
    assert (done.exit_code, tree(project.folder)) == (0, before)
    assert "Nothing was changed" in done.output


def test_edits_elsewhere_in_a_file_are_merged(project: Project) -> None:
    project.edit(MODULE, b"line_15 = 15", b"line_15 = 'ours'")
    project.edit(PAGE, b"Status", b"Our status")
    done = run("upgrade", project.folder)
    assert done.exit_code == 0, done.output
    assert project.read(MODULE) == NEW[MODULE].replace(b"line_15 = 15", b"line_15 = 'ours'")
    assert project.read(PAGE) == NEW[PAGE].replace(b"Status", b"Our status")
    assert f"Merged with your edits:\n  {PAGE}\n  {MODULE}\n" in done.output


def test_conflict_keeps_both_and_is_printed(project: Project) -> None:
    project.edit(MODULE, b"line_2 = 2", b"line_2 = 'ours'")
    done = run("upgrade", project.folder)
    assert done.exit_code == 1
    assert f"Conflicts: 1. Resolve them, then commit.\n  {MODULE}: both changed the same lines" in done.output
    between = b"<<<<<<< edited here\nline_2 = 'ours'\n=======\nline_2 = 'new'\n>>>>>>> version 0.1.0\n"
    assert between in project.read(MODULE)
    assert project.read(PAGE) == NEW[PAGE]


def test_users_git_settings_do_not_change_the_markers(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "merge.conflictStyle")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "diff3")
    project.edit(MODULE, b"line_2 = 2", b"line_2 = 'ours'")
    run("upgrade", project.folder)
    assert b"||||||| " not in project.read(MODULE)


def test_edited_file_that_upstream_removed_is_kept(project: Project) -> None:
    project.edit("templates/sessions/gone.html", b"soon", b"never")
    done = run("upgrade", project.folder)
    assert (done.exit_code, project.read("templates/sessions/gone.html")) == (1, b"<p>never gone</p>\n")
    assert "templates/sessions/gone.html: edited here, and not in the new version" in done.output


@pytest.mark.parametrize(("path", "ours"), [(PICTURE, b"\0ours"), ("web/added.py", b"# ours\n")])
def test_what_cannot_be_merged_is_put_beside(project: Project, path: str, ours: bytes) -> None:
    """A picture that both changed, and a file of the project's own where the new version has one."""
    project.write(path, ours)
    done = run("upgrade", project.folder)
    assert (done.exit_code, project.read(path), project.read(f"{path}.upstream")) == (1, ours, NEW[path])
    assert f"{path}: kept as it was" in done.output


def test_deleted_file_stays_deleted(project: Project) -> None:
    (project.copy / PAGE).unlink()
    done = run("upgrade", project.folder)
    assert (done.exit_code, (project.copy / PAGE).exists()) == (0, False)
    assert f"still deleted here:\n  {PAGE}\n" in done.output


def test_own_files_and_modes_are_kept(project: Project) -> None:
    project.write("parts/shop/__init__.py", b"# a part of our own\n")
    project.write("__pycache__/pages.pyc", b"\0")
    (project.copy / MODULE).chmod(0o755)
    (project.copy / "__init__.py").chmod(0o600)
    assert run("upgrade", project.folder).exit_code == 0
    assert files(project) == NEW | {"parts/shop/__init__.py": b"# a part of our own\n"}
    modes = [(project.copy / path).stat().st_mode & 0o777 for path in (MODULE, "__init__.py")]
    assert modes == [0o755, 0o600]


def test_windows_line_endings_are_no_edits(project: Project) -> None:
    project.write(PAGE, OLD[PAGE].replace(b"\n", b"\r\n"))
    project.write(MODULE, OLD[MODULE].replace(b"line_15 = 15", b"line_15 = 'ours'").replace(b"\n", b"\r\n"))
    assert PAGE not in run("status", project.folder).output.partition("New in version")[0]
    assert run("upgrade", project.folder).exit_code == 0
    assert project.read(PAGE) == NEW[PAGE]
    assert project.read(MODULE) == NEW[MODULE].replace(b"line_15 = 15", b"line_15 = 'ours'")


def test_part_whose_folder_was_deleted_stays_away(project: Project) -> None:
    shutil.rmtree(project.copy / "parts/devices")
    assert run("upgrade", project.folder).exit_code == 0
    assert not (project.copy / "parts/devices").exists()
    assert manifest.read(project.copy)[0].parts == ("ethereum",)


def test_deleted_part_comes_back_when_it_is_named(project: Project) -> None:
    shutil.rmtree(project.copy / "parts/devices")
    done = run("upgrade", project.folder, "--parts", "ethereum,devices")
    assert (done.exit_code, files(project)) == (0, NEW)


def test_part_that_is_not_named_any_more_goes(project: Project) -> None:
    done = run("upgrade", project.folder, "--parts", "ethereum")
    assert (done.exit_code, (project.copy / "parts/devices").exists()) == (0, False)
    assert manifest.read(project.copy)[0].parts == ("ethereum",)


def test_upgrade_works_in_a_committed_repository(project: Project) -> None:
    commit(project.folder)
    project.edit(MODULE, b"line_15 = 15", b"line_15 = 'ours'")
    commit(project.folder)
    assert run("upgrade", project.folder).exit_code == 0
    commit(project.folder)
    assert run("upgrade", project.folder).output.endswith("Nothing was changed.\n")


def test_three_versions_are_merged_one_after_another(project: Project, source: Path) -> None:
    """The base of the second merge is the version of the first, and not the one that was copied."""
    project.edit(MODULE, b"line_15 = 15", b"line_15 = 'ours'")
    assert run("upgrade", project.folder).exit_code == 0
    (source / MODULE).write_bytes(NEW[MODULE].replace(b"'new'", b"'newer'"))
    assert run("upgrade", project.folder).exit_code == 0
    ours = NEW[MODULE].replace(b"line_15 = 15", b"line_15 = 'ours'")
    assert project.read(MODULE) == ours.replace(b"'new'", b"'newer'")


def test_status_lists_edits_and_what_is_new(project: Project) -> None:
    project.edit(MODULE, b"line_15 = 15", b"line_15 = 'ours'")
    project.edit("__init__.py", b"", b"# ours\n")
    (project.copy / PICTURE).unlink()
    project.write("parts/shop/__init__.py", b"")
    before = tree(project.folder)
    done = run("status", project.folder)
    assert (done.exit_code, tree(project.folder)) == (0, before)
    assert done.output == (
        f"{project.copy} has version 0.0.9 with the parts devices, ethereum.\n\n"
        f"Edited here:\n  edited   __init__.py\n  edited   {MODULE}\n  deleted  {PICTURE}\n"
        "  added    parts/shop/__init__.py\n\n"
        f"New in version 0.1.0:\n  changed  {PICTURE}\n  changed  {PAGE}\n  changed  {MODULE}  (edited here, too)\n"
        "  added    web/added.py\n  removed  templates/sessions/gone.html\n"
    )


def test_status_lists_conflicts_that_are_left(project: Project) -> None:
    project.edit(MODULE, b"line_2 = 2", b"line_2 = 'ours'")
    project.write(PICTURE, b"\0ours")
    run("upgrade", project.folder)
    said = run("status", project.folder).output
    assert f"Conflicts that are not resolved:\n  {PICTURE}.upstream\n  {MODULE}\n" in said


def test_file_name_does_not_steer_the_terminal(project: Project) -> None:
    project.write("web/\x1b]0;evil\x07.py", b"")
    said = run("status", project.folder).output
    assert r"web/\x1b]0;evil\x07.py" in said
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said)


def test_same_files_make_the_same_manifest(tmp_path: Path) -> None:
    one, two = copied(tmp_path / "one"), copied(tmp_path / "two", dict(reversed(OLD.items())))
    assert tree(one.folder) == tree(two.folder)
