"""Whatever the commands can't do is refused: one line that says what to do, exit code 1, and nothing is changed."""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sessions_core.parts.copying import manifest, merging

from .projects import MODULE, NAME, OLD, PICTURE, Project, commit, git, run, tree


def demand_refusal(folder: Path, words: str, command: str, *arguments: object) -> None:
    """Assert that a command fails with a sentence that has these words, and changes nothing in a folder."""
    before = tree(folder)
    done = run(command, *arguments)
    assert (done.exit_code, done.stdout) == (1, ""), done.output
    assert done.stderr.startswith("Error: ")
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert tree(folder) == before


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Let a folder be read and not written, also if the tests run as root."""
    folder.chmod(0o555)
    user = os.geteuid()
    parents = [each for each in folder.parents if each.stat().st_uid == user and not each.stat().st_mode & 0o1]
    for parent in parents:
        parent.chmod(0o755)
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o755)


# -- copy ----------------------------------------------------------------------------------------------------


@pytest.fixture
def empty(tmp_path: Path, source: Path) -> Path:
    """The folder of a project without a copy."""
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def test_copy_into_a_missing_folder_is_refused(tmp_path: Path, source: Path) -> None:
    demand_refusal(tmp_path, "There is no folder", "copy", tmp_path / "missing")


def test_copy_over_foreign_files_is_refused(empty: Path) -> None:
    (empty / NAME).mkdir()
    (empty / NAME / "notes.txt").write_text("ours")
    demand_refusal(empty, "is there already, and not made by this command", "copy", empty)


@pytest.mark.parametrize("kind", ["file", "link", "dangling link"])
def test_copy_over_a_file_or_link_is_refused(empty: Path, tmp_path: Path, kind: str) -> None:
    if kind == "file":
        (empty / NAME).write_text("ours")
    else:
        (empty / NAME).symlink_to(tmp_path / ("missing" if kind == "dangling link" else "package"))
    demand_refusal(tmp_path, "is there already", "copy", empty)


def test_copy_over_a_copy_names_the_upgrade(project: Project) -> None:
    demand_refusal(project.folder, "Run the command upgrade", "copy", project.folder)


def test_copy_without_write_permission_is_refused(empty: Path) -> None:
    with unprivileged(empty):
        demand_refusal(empty, f"Writing to {empty} failed (Permission denied)", "copy", empty)


def test_copy_over_uncommitted_edits_is_refused(project: Project) -> None:
    """The former copy was moved away, which git knows nothing of yet."""
    commit(project.folder)
    shutil.rmtree(project.copy)
    demand_refusal(project.folder, "changed and not committed", "copy", project.folder)


def test_copy_into_the_package_is_refused(source: Path) -> None:
    demand_refusal(source.parent, "holds the package that would be copied", "copy", source.parent)
    demand_refusal(source.parent, "holds the package that would be copied", "copy", source / "web")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ("ethereum,magic", "There is no part 'magic' to copy. The parts are activity, "),
        ("ethereum,../web", "There is no part '../web' to copy"),
        ("ethereum,copying", "There is no part 'copying' to copy"),
        ("devices", "No kind of account could sign in"),
        ("", "No kind of account could sign in"),
    ],
)
def test_wrong_parts_are_refused(empty: Path, project: Project, parts: str, words: str) -> None:
    demand_refusal(empty, words, "copy", empty, "--parts", parts)
    demand_refusal(project.folder, words, "upgrade", project.folder, "--parts", parts)


# -- A copy of which nothing certain is known -------------------------------------------------------------------


def demand_unusable(project: Project, words: str) -> None:
    """Assert that neither `status` nor `upgrade` takes a copy, and that neither changes anything."""
    demand_refusal(project.folder.parent, words, "status", project.folder)
    demand_refusal(project.folder.parent, words, "upgrade", project.folder)


def test_folder_without_a_copy_is_refused(project: Project) -> None:
    shutil.rmtree(project.copy)
    demand_unusable(project, f"There is no copy {NAME}/ in")


def test_copy_without_a_manifest_is_refused(project: Project) -> None:
    shutil.rmtree(project.copy / manifest.FOLDER)
    demand_unusable(project, "so its version is unknown. Restore .upstream from your version control")


def test_newer_version_is_refused(project: Project) -> None:
    project.describe(version="0.2.0")
    demand_unusable(
        project, "The copy has version 0.2.0, and this is version 0.1.0. Run the command from version 0.2.0"
    )


def test_newer_format_is_refused(project: Project) -> None:
    project.describe(format=2)
    demand_unusable(project, "has format 2, which this version does not know")


@pytest.mark.parametrize("version", ["", "banana", "1.0\n", "\N{ARABIC-INDIC DIGIT ONE}.0", "9" * 5000, "1.0; rm"])
def test_version_that_was_never_released_is_refused(project: Project, version: str) -> None:
    project.describe(version=version)
    demand_unusable(project, "the version is none that was ever released")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda text: text.replace(b"0.0.9", b"0.0.8"), "manifest.json was edited"),
        (lambda text: text.replace(b'"devices",', b""), "manifest.json was edited"),
        (lambda text: b"<<<<<<< HEAD\n" + text, "manifest.json can't be read"),
        (lambda text: text[:-20], "manifest.json can't be read"),
        (lambda text: b"", "manifest.json can't be read"),
        (lambda text: b"\xff\xfe", "manifest.json can't be read"),
        (lambda text: b"[" * 100_000, "manifest.json can't be read"),
        (lambda text: b"{}", "manifest.json can't be read"),
        (lambda text: text.replace(b"{\n", b'{"more": 1,\n', 1), "manifest.json can't be read"),
        (lambda text: text + b" " * (17 << 20), "manifest.json is no regular file of at most 16 MB"),
    ],
)
def test_changed_manifest_is_refused(project: Project, edit: Callable[[bytes], bytes], words: str) -> None:
    path = project.copy / manifest.FOLDER / "manifest.json"
    path.write_bytes(edit(path.read_bytes()))
    demand_unusable(project, words)


def packed(files: dict[str, bytes], twice: str | None = None) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
        if twice is not None:
            with pytest.warns(UserWarning, match="Duplicate name"):
                archive.writestr(twice, b"twice")
    return made.getvalue()


def plant(project: Project, archive: bytes, **changes: Any) -> None:
    """Put other originals into a copy, with a manifest that fits."""
    (project.copy / manifest.FOLDER / "originals.zip").write_bytes(archive)
    project.describe(originals=hashlib.sha256(archive).hexdigest(), **changes)


def test_missing_or_replaced_originals_are_refused(project: Project) -> None:
    path = project.copy / manifest.FOLDER / "originals.zip"
    path.write_bytes(packed(OLD | {MODULE: b"another"}))
    demand_unusable(project, "originals.zip is not the one that the manifest was written with")
    path.unlink()
    demand_unusable(project, "originals.zip can't be read (No such file or directory)")


@pytest.mark.parametrize(
    ("archive", "words"),
    [
        (b"no archive", "originals.zip can't be read"),
        (packed(OLD)[:-30], "originals.zip can't be read"),
        (packed(OLD | {"more.py": b""}), "originals.zip has other files than manifest.json"),
        (packed(OLD, twice=MODULE), "originals.zip has other files than manifest.json"),
        (packed(OLD | {MODULE: b"another"}), f"{MODULE} in originals.zip is not the file of the manifest"),
        (packed(OLD | {MODULE: bytes(64 << 20)}), "originals.zip holds more than any version"),
    ],
    ids=["no archive", "cut off", "more files", "twice", "another content", "bomb"],
)
def test_originals_that_do_not_fit_are_refused(project: Project, archive: bytes, words: str) -> None:
    plant(project, archive)
    demand_unusable(project, words)


HOSTILE = [
    "../evil.py",
    "../../evil.py",
    "web/../../../evil.py",
    "/tmp/evil.py",
    "C:/evil.py",
    "web\\..\\..\\evil.py",
    "web//evil.py",
    "web/./evil.py",
    "web/evil.py/",
    ".git/hooks/post-checkout",
    "web/.hidden.py",
    "",
    "evil\n.py",
    "\x1b[2J.py",
    "WEB/PAGES.PY",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_manifest_with_a_hostile_path_is_refused(project: Project, path: str) -> None:
    """Its digest and its archive are right, as of an attacker who read the source."""
    files = OLD | {path: b"evil"}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    plant(project, packed(files), files=hashes)
    demand_unusable(project, "manifest.json names files that no version has")


@pytest.mark.parametrize("name", ["../../evil", "/etc", "a\x1b[2J"])
def test_manifest_with_a_hostile_part_is_refused(project: Project, name: str) -> None:
    project.describe(parts=("ethereum", name))
    demand_unusable(project, "manifest.json names files that no version has")


@pytest.mark.parametrize("name", ["manifest.json", "originals.zip", ""])
def test_linked_manifest_is_refused(project: Project, tmp_path: Path, name: str) -> None:
    path = project.copy / manifest.FOLDER / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    demand_unusable(project, "is no regular file" if name else "it is a symbolic link")


def test_manifest_that_is_a_pipe_is_refused(project: Project) -> None:
    """Reading one would wait for ever."""
    path = project.copy / manifest.FOLDER / "manifest.json"
    path.unlink()
    os.mkfifo(path)
    demand_unusable(project, "is no regular file")


@pytest.mark.parametrize("place", ["web", MODULE, "web/new_link.py"])
def test_link_inside_a_copy_is_refused(project: Project, tmp_path: Path, place: str) -> None:
    """Otherwise an upgrade would read, or write, outside of the copy."""
    target = tmp_path / "outside"
    path = project.copy / place
    if path.exists():
        path.rename(target)
    else:
        target.write_bytes(b"secret")
    path.symlink_to(target)
    demand_unusable(project, "is neither a file nor a folder")


def test_copy_that_is_a_link_is_refused(project: Project, tmp_path: Path) -> None:
    project.copy.rename(tmp_path / "elsewhere")
    project.copy.symlink_to(tmp_path / "elsewhere")
    demand_unusable(project, "is a symbolic link")


# -- upgrade -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["edited", "added", "deleted", "staged"])
def test_upgrade_over_uncommitted_edits_is_refused(project: Project, kind: str) -> None:
    commit(project.folder)
    if kind == "added":
        project.write("web/ours.py", b"")
    elif kind == "deleted":
        (project.copy / MODULE).unlink()
    else:
        project.edit(MODULE, b"line_1 = 1", b"line_1 = 'ours'")
    if kind == "staged":
        git(project.folder, "add", "--all")
    name = "web/ours.py" if kind == "added" else MODULE
    demand_refusal(project.folder, f"{NAME}/{name} in {project.folder}: changed", "upgrade", project.folder)


def test_uncommitted_edits_outside_the_copy_do_not_matter(project: Project) -> None:
    commit(project.folder)
    (project.folder / "app.py").write_text("# edited\n")
    assert run("upgrade", project.folder).exit_code == 0


def test_upgrade_in_a_broken_repository_is_refused(project: Project) -> None:
    commit(project.folder)
    (project.folder / ".git/HEAD").unlink()
    demand_refusal(project.folder, "Git can't tell what is committed in", "upgrade", project.folder)


def test_upgrade_over_an_unresolved_conflict_is_refused(project: Project, source: Path) -> None:
    project.edit(MODULE, b"line_2 = 2", b"line_2 = 'ours'")
    project.write(PICTURE, b"\0ours")
    assert run("upgrade", project.folder).exit_code == 1
    (source / MODULE).write_bytes(b"# newer still\n")
    demand_refusal(
        project.folder, f"{PICTURE}.upstream, {MODULE} in {project.copy}: a conflict", "upgrade", project.folder
    )


def test_upgrade_without_git_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.edit(MODULE, b"line_15 = 15", b"line_15 = 'ours'")
    monkeypatch.setenv("PATH", "")
    demand_refusal(project.folder, "Install git, then run the command again", "upgrade", project.folder)


def test_upgrade_without_write_permission_is_refused(project: Project) -> None:
    with unprivileged(project.folder):
        demand_refusal(
            project.folder, f"Writing to {project.folder} failed (Permission denied)", "upgrade", project.folder
        )


def test_upgrade_of_an_unreadable_file_is_refused(project: Project) -> None:
    (project.copy / MODULE).chmod(0)
    before = (project.copy / MODULE).stat()
    with unprivileged(project.folder):
        done = run("upgrade", project.folder)
    assert (done.exit_code, (project.copy / MODULE).stat().st_mtime_ns) == (1, before.st_mtime_ns)
    assert f"{MODULE} can't be read (Permission denied)" in done.stderr


def test_edit_during_an_upgrade_is_not_lost(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    merge = merging.merge

    def slow(*arguments: Any) -> merging.Outcome:
        outcome = merge(*arguments)
        project.edit(MODULE, b"line_7 = 7", b"line_7 = 'saved meanwhile'")
        return outcome

    monkeypatch.setattr(merging, "merge", slow)
    done = run("upgrade", project.folder)
    assert (done.exit_code, project.read(MODULE)) == (1, OLD[MODULE].replace(b"= 7", b"= 'saved meanwhile'"))
    assert "has changed meanwhile. Commit it, then run the command again." in done.stderr
    assert sorted(path.name for path in project.folder.iterdir()) == ["app.py", NAME]


def test_two_upgrades_at_once_are_refused(project: Project) -> None:
    handle = os.open(project.folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        demand_refusal(project.folder, "Another copy or upgrade is running", "upgrade", project.folder)
    finally:
        os.close(handle)
    assert run("upgrade", project.folder).exit_code == 0


@pytest.mark.parametrize("name", [".sessions_core.new", ".sessions_core.old"])
def test_planted_link_is_not_followed(project: Project, tmp_path: Path, name: str) -> None:
    """It would have the clean-up delete, or the upgrade fill, another folder."""
    (project.folder / name).symlink_to(tmp_path / "package")
    demand_refusal(tmp_path, "is a symbolic link, which this command never makes", "upgrade", project.folder)


def test_folder_where_the_new_version_has_a_file_is_refused(project: Project) -> None:
    project.write("web/added.py/ours.py", b"")
    words = "web/added.py is a file in one version and a folder in the other"
    demand_refusal(project.folder, words, "upgrade", project.folder)


def test_folder_in_the_place_of_a_moved_copy_is_refused(project: Project) -> None:
    """Between the renames of an interrupted upgrade somebody made a folder of that name. The copy must survive."""
    project.copy.rename(project.folder / ".sessions_core.old")
    project.write("notes.txt", b"ours")
    demand_refusal(project.folder, "is your copy before an interrupted upgrade", "upgrade", project.folder)
    shutil.rmtree(project.copy)
    assert run("upgrade", project.folder).exit_code == 0


def test_failed_rename_puts_the_copy_back(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name == ".sessions_core.new":
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    demand_refusal(
        project.folder, "failed (No space left on device). Nothing was changed.", "upgrade", project.folder
    )
