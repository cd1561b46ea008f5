"""A browser test without a browser is skipped with the reason, and fails where continuous integration runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import ROOT


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", "SKIPPED [1]"), ("true", "with CI=true no browser test may be skipped")]
)
def test_without_a_browser(tmp_path: Path, ci: str, outcome: str) -> None:
    (tmp_path / "test_page.py").write_text("def test_page(browser):\n    raise AssertionError\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", ROOT / "pyproject.toml", "-p", "tests.conftest", tmp_path],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path), "CI": ci},
        capture_output=True,
        text=True,
    )
    assert "no chromium on this machine" in done.stdout
    assert outcome in done.stdout
    assert (done.returncode == 0) == (ci == "")
