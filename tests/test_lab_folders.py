"""Where labs that run have their sockets: in folders that are their user's alone."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from catchment.errors import PlatformFailed
from catchment.platforms.lab import folders


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(folders, "_LONGEST_SOCKET", 500)  # pytest's own folders are deep
    return tmp_path


def test_a_runtime_folder_of_our_own_is_used_and_else_one_for_temporary_files(tmp_path: Path) -> None:
    temporary = Path(tempfile.gettempdir()) / f"catchment-{os.geteuid()}"
    assert folders.parent({"XDG_RUNTIME_DIR": str(tmp_path)}) == tmp_path / "catchment"
    assert folders.parent({}) == temporary
    assert folders.parent({"XDG_RUNTIME_DIR": ""}) == temporary
    assert folders.parent({"XDG_RUNTIME_DIR": str(tmp_path / "gone")}) == temporary
    assert folders.parent({"XDG_RUNTIME_DIR": "."}) == temporary


def test_a_claimed_folder_is_ours_alone_and_refused_to_others_until_it_is_let_go(home: Path) -> None:
    held = folders.claim("one")
    folder = home / "catchment" / "lab-one"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    assert folders.running() == ["one"]
    with pytest.raises(PlatformFailed, match="a lab 'one' runs already"):
        folders.claim("one")
    folders.remove(held, folder)
    assert not folder.parent.exists()
    os.close(held)
    assert folders.running() == []


def test_what_a_killed_lab_left_is_emptied_for_the_next_and_removed_by_who_lists(home: Path) -> None:
    folder = home / "catchment" / "lab-two"
    os.close(folders.claim("two"))
    (folder / "control").touch()
    held = folders.claim("two")
    assert list(folder.iterdir()) == []
    os.close(held)
    assert folders.running() == []
    assert not folder.exists()


def test_the_end_of_a_lab_is_waited_for_though_its_folder_is_gone(home: Path) -> None:
    held = folders.claim("three")
    folder = home / "catchment" / "lab-three"
    looking = folders.look_at(folder)
    folders.remove(held, folder)
    assert not folders.is_gone(looking, folder, within_s=0.01)
    os.close(held)
    assert folders.is_gone(looking, folder)
    os.close(looking)


def test_a_folder_that_others_can_look_into_is_refused(home: Path) -> None:
    (home / "catchment").mkdir()
    (home / "catchment").chmod(0o755)
    with pytest.raises(PlatformFailed, match="is not ours alone: remove it"):
        folders.claim("one")
    (home / "catchment").rmdir()
    (home / "elsewhere").mkdir(mode=0o700)
    (home / "catchment").symlink_to(home / "elsewhere")
    with pytest.raises(PlatformFailed, match="is not ours alone: remove it"):
        folders.claim("one")


@pytest.mark.parametrize("name", ["", "..", "a/b", "-x", "x" * 41, "a\n", "é"])
def test_what_cannot_name_a_folder_cannot_name_a_lab(home: Path, name: str) -> None:
    with pytest.raises(PlatformFailed, match="cannot name a lab"):
        folders.claim(name)


def test_a_path_too_long_for_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with pytest.raises(PlatformFailed, match="too long a path for a socket"):
        folders.claim("one")
