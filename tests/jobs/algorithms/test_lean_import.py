"""What a job process leaves out when it imports a library, each case in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.live import ROOT

HEAVY = ("unittest", "numpy.f2py.crackfortran", "numpy.testing._private.utils", "pandas")


def run(program: str) -> str:
    argv = [sys.executable, "-c", program]
    return subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    ).stdout.strip()


@pytest.mark.parametrize(
    "module", ["xgboost.booster", "catboost.ensemble", "random_forest.growing", "kmeans.clustering"]
)
def test_what_nobody_needs_is_not_imported(module: str) -> None:
    assert (
        run(f"import sys, jobs.algorithms.{module}; print([name for name in {HEAVY} if name in sys.modules])")
        == "[]"
    )


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("numpy.testing.assert_allclose(1.0, 1.0); print('equal')", "equal"),
        ("from numpy.testing import assert_equal; assert_equal(1, 1); print('equal')", "equal"),
        ("import numpy.f2py; print(callable(numpy.f2py.run_main))", "True"),
        ("from numpy import *; print(testing.__name__)", "numpy.testing"),
        ("from scipy.special import softmax; print(softmax([1.0, 1.0])[0])", "0.5"),
    ],
)
def test_what_was_left_out_is_there_when_it_is_used(use: str, said: str) -> None:
    before = "import sys, numpy, jobs.algorithms.xgboost.booster; assert 'unittest' not in sys.modules; "
    assert run(before + use) == said


def test_what_is_imported_already_stays_what_it_is() -> None:
    program = (
        "import numpy, numpy.testing as before\n"
        "from jobs.algorithms.lean_import import numpy_parts_later\n"
        "numpy_parts_later(); numpy_parts_later()\n"
        "print(numpy.testing is before, numpy.f2py.__name__)"
    )
    assert run(program) == "True numpy.f2py"
