"""Removing what anybody may have made: closed, very deep, or a link."""

from __future__ import annotations

import os
from pathlib import Path

from mlplatform.core.storage.trees import tree_remove


def test_folders_deeper_than_python_goes_are_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(2500):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    tree_remove(top)
    assert not top.exists()


def test_closed_folders_are_opened_up(tmp_path: Path) -> None:
    (tmp_path / "top" / "closed").mkdir(parents=True)
    (tmp_path / "top" / "closed" / "file").write_text("x")
    (tmp_path / "top" / "closed").chmod(0)
    tree_remove(tmp_path / "top")
    assert not (tmp_path / "top").exists()


def test_links_are_removed_and_not_what_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "link").symlink_to(tmp_path / "kept")
    tree_remove(tmp_path / "top")
    tree_remove(tmp_path / "never was")
    assert (tmp_path / "kept" / "file").exists()
