"""The built-in algorithms by name: a literal dict of dotted paths, so listing them loads nothing heavy."""

from __future__ import annotations

import difflib
from functools import cache
from importlib import import_module
from typing import Final

from jobs.algorithms.base import AlgorithmSpec
from mlplatform.core.errors import NotFound
from mlplatform.core.text import text as _

ALGORITHMS: Final[dict[str, str]] = {
    "knn": "jobs.algorithms.knn.spec:SPEC",
    "xgboost": "jobs.algorithms.xgboost.spec:SPEC",
    "catboost": "jobs.algorithms.catboost.spec:SPEC",
    "linear-learner": "jobs.algorithms.linear_learner.spec:SPEC",
    "random-forest": "jobs.algorithms.random_forest.spec:SPEC",
    "ensemble": "jobs.algorithms.ensemble.spec:SPEC",
    "kmeans": "jobs.algorithms.kmeans.spec:SPEC",
    "pca": "jobs.algorithms.pca.spec:SPEC",
}
SCRIPT: Final = "script"
"""The algorithm of a job that runs a user's own script: none of the built-in ones."""
_SCRIPT_SPEC: Final = "jobs.algorithms.script.spec:SPEC"


@cache
def algorithm_get(name: str) -> AlgorithmSpec:
    """The declaration of the algorithm `name`. Raises NotFound that names the nearest one."""
    path = _SCRIPT_SPEC if name == SCRIPT else ALGORITHMS.get(name)
    if path is None:
        near = difflib.get_close_matches(name[:80], ALGORITHMS, n=1)
        hint = (
            _("did you mean '{name}'?", name=near[0])
            if near
            else _("there are {names}", names=", ".join(ALGORITHMS))
        )
        raise NotFound(_("There is no algorithm named {name}; {hint}", name=repr(name[:80]), hint=hint))
    module, _colon, attribute = path.partition(":")
    spec: AlgorithmSpec = getattr(import_module(module), attribute)
    return spec


def algorithm_list() -> tuple[AlgorithmSpec, ...]:
    """The declarations of all built-in ones, in the order of the registry."""
    return tuple(algorithm_get(name) for name in ALGORITHMS)
