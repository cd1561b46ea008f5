"""What the processes of the inference path may import, seen in fresh interpreters."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mlplatform.core.env import PROJECT_ROOT

FRAMEWORKS = {"django", "celery", "rest_framework"}
COMPUTE = {"numpy", "pandas", "pyarrow", "faiss", "sklearn", "scipy"}


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("endpoints.gateway.server", FRAMEWORKS | COMPUTE),
        ("endpoints.gateway.histogram", FRAMEWORKS | COMPUTE),
        ("endpoints.serving.__main__", FRAMEWORKS | COMPUTE),
        ("endpoints.serving.server", FRAMEWORKS | COMPUTE - {"numpy"}),
        ("endpoints.serving.loader", FRAMEWORKS | COMPUTE - {"numpy"}),
    ],
)
def test_a_process_of_the_inference_path_does_not_pay_for(module: str, forbidden: set[str]) -> None:
    script = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) & forbidden == set()
