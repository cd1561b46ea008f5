"""Processes that must stay small and must never have computed: none of ours loads a numeric library."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mlplatform.core.env import PROJECT_ROOT

_SCRIPT = """
import sys, django
django.setup()
from importlib import import_module
for name in sys.argv[1:]:
    import_module(name)
heavy = {"numpy", "pyarrow", "sklearn", "faiss", "scipy", "xgboost", "catboost", "tensorflow"}
print(*sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize(
    "modules",
    [
        ["endpoints.management.commands.host"],
        ["endpoints.management.commands.gateway"],
        ["endpoints.tasks", "jobs.tasks"],
        ["mlplatform.urls", "mlplatform.api.urls", "mlplatform.web.urls"],
    ],
    ids=["host", "gateway", "worker", "web"],
)
def test_no_process_of_ours_loads_a_numeric_library(modules: list[str]) -> None:
    found = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *modules],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (found.returncode, found.stdout.strip()) == (0, ""), found.stderr
