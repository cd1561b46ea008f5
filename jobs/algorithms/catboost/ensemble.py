"""CatBoost itself: the one module that imports it. Trains, saves, loads and asks; knows nothing of jobs.

CatBoost writes to standard output and into the working directory unless told not to: it is told not to.
"""

from __future__ import annotations

import functools
import json
import logging
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.catboost.one_row import LEAF_VALUES_MAX, ObliviousTrees, probabilities_of
from jobs.algorithms.lean_import import numpy_parts_later
from jobs.algorithms.stand_ins import imported_later
from mlplatform.core.errors import ModelError

numpy_parts_later()
# Most of the time, for data frames and sparse matrices that nobody hands it.
with imported_later("pandas", "scipy.sparse"):
    import catboost

Floats = NDArray[np.float32]
Scores = Mapping[str, Mapping[str, list[float]]]
OnRound = Callable[[int, Scores], bool]

FILE: Final = "model.cbm"
_N_PROBES: Final = 16
logger = logging.getLogger(__name__)


class TrainingFailed(ValueError):
    """CatBoost's own words for why it could not train."""


class _Rounds:
    """CatBoost calls it after every iteration."""

    def __init__(self, on_round: OnRound) -> None:
        self._on_round = on_round

    def after_iteration(self, info: Any) -> bool:
        return self._on_round(info.iteration, info.metrics)


def ensemble_train(
    parameters: Mapping[str, Any],
    *,
    train: tuple[Floats, NDArray[Any]],
    validation: tuple[Floats, NDArray[Any]] | None,
    on_round: OnRound,
) -> Any:
    """A trained `catboost.CatBoost`.

    Args:
        parameters: CatBoost's own.
        train: X float32 [n, d] with NaN for what is missing, and y [n].
        on_round: Given the number of an iteration, from 1, and all scores so far by channel (learn, validation) and
            metric; returns whether to go on.

    Raises:
        TrainingFailed: CatBoost refuses.
    """
    model = catboost.CatBoost({**parameters, "allow_writing_files": False, "logging_level": "Silent"})
    try:
        model.fit(
            catboost.Pool(*train),
            eval_set=None if validation is None else catboost.Pool(*validation),
            callbacks=[_Rounds(on_round)],
        )
    except catboost.CatBoostError as error:
        raise TrainingFailed(_words(error)) from error
    return model


def ensemble_write(model: Any, model_dir: Path) -> None:
    """Writes `model.cbm`."""
    model.save_model(str(model_dir / FILE), format="cbm")


class LoadedEnsemble:
    """A model that answers, from several threads at once.

    One row is answered by hand where the trees allow for it: see `one_row`. They are laid out for the first such row,
    so that who asks for many at once does not pay for it.
    """

    def __init__(self, model_dir: Path, *, n_threads: int) -> None:
        """Raises ModelError."""
        try:
            self._model = catboost.CatBoost().load_model(str(model_dir / FILE))
        except catboost.CatBoostError as error:
            raise ModelError(f"The model's file {FILE} cannot be read: {_words(error)}") from error
        self._n_threads = n_threads
        self.n_features = len(self._model.feature_names_)

    @functools.cached_property
    def trees(self) -> ObliviousTrees | None:
        """For one row; None where CatBoost must be asked for it too."""
        return _oblivious_trees(self._model)

    def values(self, X: Floats) -> Floats:
        """Predicted numbers, float32 [n]."""
        if _is_one_full_row(X) and self.trees is not None:
            return self.trees.raw(X[0]).astype(np.float32)
        return self._predict(X, "RawFormulaVal")

    def probabilities(self, X: Floats) -> Floats:
        """Of every class, float32 [n, c]."""
        if _is_one_full_row(X) and self.trees is not None:
            return probabilities_of(self.trees.raw(X[0])).astype(np.float32)[np.newaxis]
        return self._predict(X, "Probability")

    def _predict(self, X: Floats, kind: str) -> Floats:
        if len(X) == 0:
            return self._predict(np.zeros((1, self.n_features), np.float32), kind)[:0]
        n_threads = 1 if len(X) == 1 else self._n_threads
        found = self._model.predict(
            np.ascontiguousarray(X, np.float32), prediction_type=kind, thread_count=n_threads
        )
        return cast(Floats, np.asarray(found, np.float32))


def _is_one_full_row(X: Floats) -> bool:
    return len(X) == 1 and not np.isnan(X).any()


def _oblivious_trees(model: Any) -> ObliviousTrees | None:
    n_outputs = max(1, len(model.classes_)) if len(model.classes_) != 2 else 1
    if int(np.sum(model.get_tree_leaf_counts())) * n_outputs > LEAF_VALUES_MAX:
        return None
    with tempfile.TemporaryDirectory(prefix="mlp-catboost-") as folder:
        path = Path(folder, "model.json")
        try:
            model.save_model(str(path), format="json")
            trees = ObliviousTrees(json.loads(path.read_bytes()))
        except (catboost.CatBoostError, OSError, ValueError, LookupError, TypeError) as error:
            logger.info("single rows are left to CatBoost: %s: %s", type(error).__name__, error)
            return None
    rows = trees.probes(_N_PROBES, len(model.feature_names_))
    expected = np.asarray(model.predict(rows, prediction_type="RawFormulaVal", thread_count=1))
    ours = np.array([trees.raw(row) for row in rows]).reshape(expected.shape)
    if not np.allclose(ours, expected, rtol=1e-6, atol=1e-6):
        logger.warning("single rows are left to CatBoost: it answers other numbers for some")
        return None
    return trees


def _words(error: Exception) -> str:
    """The message without its C++ place."""
    text = str(error)
    return text.partition(": ")[2][:300] if text.split(":", 1)[0].endswith((".cpp", ".h")) else text[:300]
