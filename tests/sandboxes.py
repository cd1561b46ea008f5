"""Both ways in which processes are started: in a sandbox, and as they are where there is none."""

from __future__ import annotations

import os
import shutil

import pytest

from jobs.runner.isolation import BUBBLEWRAP, OFF, SETTING, SandboxUnavailable, isolation


@pytest.fixture(params=[BUBBLEWRAP, OFF])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs the test twice; the mode."""
    mode = str(request.param)
    monkeypatch.setenv(SETTING, mode)
    if mode == BUBBLEWRAP:
        _require()
    return mode


@pytest.fixture
def sandboxed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs the test with bubblewrap, or not at all."""
    monkeypatch.setenv(SETTING, BUBBLEWRAP)
    _require()


def _require() -> None:
    try:
        isolation()
    except SandboxUnavailable as error:
        reason = f"{error} (as root on Debian, `make test` installs it)"
        if os.environ.get("CI") == "true" and shutil.which("bwrap") is None:
            pytest.fail(f"{reason}; with CI=true no test of the sandbox may be skipped")
        pytest.skip(reason)
