"""Whether a script's own modules are told from those that are imported already."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.runner.script.shadows import is_shadowing


@pytest.mark.parametrize("name", ["json.py", "pytest/__init__.py", "numpy.so", "typing.cpython-311.pyc"])
def test_a_module_of_the_name_of_one_that_is_imported(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    import numpy  # noqa: F401  one of them

    assert is_shadowing(tmp_path)
    assert is_shadowing(tmp_path.parent, tmp_path)


@pytest.mark.parametrize("name", ["train.py", "jobs.py", "helpers_of_mine/__init__.py", "json.txt", "README"])
def test_modules_that_nobody_has_imported_and_names_of_ours_that_are_forgotten(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert not is_shadowing(tmp_path)
