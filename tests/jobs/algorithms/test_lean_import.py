"""What a job process leaves out when it imports a library, each case in an interpreter of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.live import ROOT

HEAVY = ("unittest", "numpy.f2py.crackfortran", "numpy.testing._private.utils", "pandas")
SPARSE = {
    "xgboost.booster": (
        "for method in ('auto', 'exact'): used.booster_train("
        "{'tree_method': method, 'max_bin': 256, 'nthread': 1}, n_rounds=3, train=(X, y),"
        " validation=(X, y), own_metrics=[], early_stopping=None, on_round=lambda n, scores: None)",
        "import xgboost; print(xgboost.DMatrix(scipy.sparse.csr_matrix(X)).get_data().shape)",
    ),
    "catboost.ensemble": (
        "used.ensemble_train({'iterations': 3}, train=(X, y), validation=(X, y), on_round=lambda n, s: True)",
        "import catboost; print(catboost.Pool(scipy.sparse.csr_matrix(X), y).shape)",
    ),
}
"""By module, a fit of plain rows, and a use of sparse ones that prints (40, 3)."""


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


@pytest.mark.parametrize("module", SPARSE)
def test_a_fit_of_plain_rows_imports_no_sparse_matrices_and_others_can_use_them(module: str) -> None:
    fit, use = SPARSE[module]
    program = (
        f"import sys, numpy, jobs.algorithms.{module} as used\n"
        "X = numpy.random.default_rng(0).random((40, 3), numpy.float32); y = X[:, 0]\n"
        f"{fit}\n"
        "assert not {'scipy.sparse', 'pandas'} & sys.modules.keys()\n"
        "import scipy.sparse\n"
        "assert scipy.sparse.issparse(scipy.sparse.csr_matrix(X)) and not scipy.sparse.issparse(X)\n"
        f"{use}"
    )
    assert run(program) == "(40, 3)"


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("from scipy import sparse; print(sparse.issparse(sparse.eye(2)))", "True"),
        ("from scipy import sparse; print(sparse.csr_matrix((2, 2)).shape)", "(2, 2)"),
        (
            "import scipy; print(isinstance(1, scipy.sparse.spmatrix), 'scipy.sparse' in sys.modules)",
            "False False",
        ),
        (
            "import scipy; from scipy.sparse import csr_matrix\n"
            "print(isinstance(csr_matrix((1, 1)), scipy.sparse.spmatrix), csr_matrix.__mro__[1].__module__[:12])",
            "True scipy.sparse",
        ),
        ("class Own(__import__('scipy.sparse').sparse.csr_matrix): pass\nprint(Own((1, 1)).nnz)", "0"),
    ],
)
def test_a_stand_in_gives_way_to_what_it_stands_for(use: str, said: str) -> None:
    before = (
        "import sys\n"
        "from jobs.algorithms.stand_ins import imported_later\n"
        "with imported_later('scipy.sparse'):\n    import scipy.sparse as held\n"
        "assert 'scipy.sparse' not in sys.modules\n"
    )
    assert run(before + use) == said


def test_what_is_asked_of_a_stand_in_while_it_stands_there_is_real() -> None:
    program = (
        "import sys\n"
        "from jobs.algorithms.stand_ins import imported_later\n"
        "with imported_later('pandas'):\n"
        "    import pandas\n"
        "    assert not isinstance(1, pandas.Series) and not issubclass(int, pandas.Series)\n"
        "    print(pandas.DataFrame({'a': [1]}).shape, isinstance(pandas.Series([1]), pandas.Series))\n"
        "import pandas\n"
        "print(isinstance(pandas.DataFrame(), pandas.DataFrame))"
    )
    assert run(program) == "(1, 1) True\nTrue"


def test_what_is_imported_already_stays_what_it_is() -> None:
    program = (
        "import numpy, numpy.testing as before\n"
        "from jobs.algorithms.lean_import import numpy_parts_later\n"
        "numpy_parts_later(); numpy_parts_later()\n"
        "print(numpy.testing is before, numpy.f2py.__name__)"
    )
    assert run(program) == "True numpy.f2py"
