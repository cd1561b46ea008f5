"""XGBoost itself: the one module that imports it. Trains, saves, loads and asks a booster; knows nothing of jobs."""

from __future__ import annotations

import ctypes
import functools
import json
import logging
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.lean_import import hidden, numpy_parts_later
from jobs.algorithms.stand_ins import imported_later, only_when_imported
from jobs.algorithms.xgboost.one_row import BoostedTrees, OtherModel
from jobs.algorithms.xgboost.own_metrics import own_metric
from jobs.algorithms.xgboost.ubjson import ubjson_read
from mlplatform.core.errors import ModelError

numpy_parts_later()
# Its estimators and plots cannot be imported then, which are of no use here; they and what they import are most of the
# time and two thirds of the memory. Nor are sparse matrices.
with hidden("pandas", "sklearn", "scipy.special"), imported_later("scipy.sparse"):
    import xgboost as xgb

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]
Scores = Mapping[str, Mapping[str, list[float] | list[tuple[float, float]]]]
OnRound = Callable[[int, Scores], None]

FILE: Final = "xgboost-model"
"""The name that the managed service gives it; the format is XGBoost's UBJSON."""
_LIBRARY: Final = xgb.core._LIB
_CONFIG: Final = json.dumps(
    {
        "type": 0,
        "training": False,
        "iteration_begin": 0,
        "iteration_end": 0,
        "missing": float("nan"),
        "strict_shape": False,
        "cache_id": 0,
    }
).encode()
MODEL_BYTES_MAX: Final = 2**22
"""Of a model's file whose trees are read to answer single rows by hand, some 100,000 nodes."""
TREES_MAX: Final = 1000
"""Reading so many trees takes 35 ms when a model is loaded, and 4 MiB of nodes 20 ms more."""
_UBJSON: Final = b"{L"
_N_TREES: Final = re.compile(rb"num_treesSL.{8}([0-9]+)", re.DOTALL)
"""In XGBoost's UBJSON, where a text follows its length in eight bytes."""
_N_PROBES: Final = 32
"""Rows that are answered both ways before single rows are answered by hand."""
_TOLERANCE: Final = 1e-6
"""How far both answers may lie apart, as a share of them."""

ONE_THREAD_VALUES: Final = 40_000
"""Up to so many values (rows by columns) a second thread costs more than it brings: for 3,500 values a fit takes 1.6
times as long with two, for 40,000 as long, for 80,000 0.9 times; and jobs that run at the same time share the
processors.
"""


class TrainingFailed(ValueError):
    """XGBoost's own words for why it could not train."""


class _Rounds(xgb.callback.TrainingCallback):
    def __init__(self, on_round: OnRound) -> None:
        super().__init__()
        self._on_round = on_round

    def after_iteration(self, model: Any, epoch: int, evals_log: Scores) -> bool:
        self._on_round(epoch, evals_log)
        return False


def booster_train(
    parameters: Mapping[str, Any],
    *,
    n_rounds: int,
    train: tuple[Floats, Floats],
    validation: tuple[Floats, Floats] | None,
    own_metrics: list[str],
    early_stopping: tuple[int, str | None, bool | None] | None,
    on_round: OnRound,
) -> Any:
    """A trained `xgb.Booster`; with early stopping up to its best round.

    Args:
        parameters: XGBoost's own.
        train: X float32 [n, d] with NaN for what is missing, and y float32 [n].
        own_metrics: Those of `own_metrics.py` to evaluate.
        early_stopping: Rounds to wait, the metric and whether more of it is better; None: the last one.
        on_round: Given the number of a round, from 0, and all scores so far by channel and metric.

    Raises:
        TrainingFailed: XGBoost refuses.
    """
    if train[0].size <= ONE_THREAD_VALUES:
        parameters = {**parameters, "nthread": 1}
    try:
        evals = [(_matrix(parameters, *train), "train")]
        if validation is not None:
            evals.append((_matrix(parameters, *validation, reference=evals[0][0]), "validation"))
        callbacks: list[Any] = [_Rounds(on_round)]
        if early_stopping is not None:
            rounds, metric, maximise = early_stopping
            callbacks.append(
                xgb.callback.EarlyStopping(
                    rounds=rounds, metric_name=metric, data_name="validation", maximize=maximise
                )
            )
        custom = own_metric(own_metrics) if own_metrics else None
        found = _boosted(parameters, evals, n_rounds, custom, callbacks)
    except xgb.core.XGBoostError as error:
        raise TrainingFailed(_words(error)) from error
    return found if early_stopping is None else found[: found.best_iteration + 1]


def _boosted(
    parameters: Mapping[str, Any],
    evals: list[tuple[Any, str]],
    n_rounds: int,
    metric: Callable[..., Any] | None,
    callbacks: list[Any],
) -> Any:
    """What `xgb.train` does, but for its end: that takes the model apart and puts it together again, to let go of the
    data, which takes 60 ms for 1,500 trees. So the booster keeps some 30 bytes for each row until it is let go itself.
    """
    container = xgb.callback.CallbackContainer(callbacks, metric=metric, output_margin=False)
    data = evals[0][0]
    booster = container.before_training(xgb.Booster(dict(parameters), [matrix for matrix, _ in evals]))
    for number in range(n_rounds):
        if container.before_iteration(booster, number, data, evals):
            break
        booster.update(data, iteration=number)
        if container.after_iteration(booster, number, data, evals):
            break
    return container.after_training(booster)


def booster_write(booster: Any, model_dir: Path) -> None:
    """Writes `xgboost-model`."""
    (model_dir / FILE).write_bytes(booster.save_raw(raw_format="ubj"))


def _matrix(parameters: Mapping[str, Any], X: Floats, y: Floats, reference: Any = None) -> Any:
    """The rows as XGBoost wants them: for hist in ranges, which takes a fraction of the memory."""
    _sparse_later()
    threads = parameters["nthread"]
    if parameters["tree_method"] in ("hist", "auto"):
        return xgb.QuantileDMatrix(X, y, max_bin=parameters["max_bin"], ref=reference, nthread=threads)
    return xgb.DMatrix(X, y, nthread=threads)


@functools.cache
def _sparse_later() -> None:
    """XGBoost imports scipy.sparse to ask whether rows are a sparse matrix, which takes longer than many a fit."""
    import xgboost.data

    for name in ("is_scipy_csr", "is_scipy_csc", "is_scipy_coo"):
        setattr(xgboost.data, name, only_when_imported("scipy.sparse", getattr(xgboost.data, name)))


def _words(error: Exception) -> str:
    """The message without the C++ place and stack."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    first = next((line for line in lines if "Check failed" in line or not line.startswith("[")), lines[0])
    return first.rpartition("Check failed: ")[2][:300]


class LoadedBooster:
    """A booster that answers, from several threads at once.

    One row is answered by hand where the model allows for it: see `one_row`. Else it goes through XGBoost's C interface
    with buffers made once a thread, since what Python does around it takes several times longer than the trees; it is
    asked with one thread, which is faster for one row than several. Which of the two is found out with the first row.
    """

    def __init__(self, model_dir: Path, *, n_threads: int) -> None:
        """Raises ModelError."""
        text = _read(model_dir)
        self._booster = _load(text, n_threads)
        self.n_features = int(self._booster.num_features())
        self._n_threads = n_threads
        self._text: bytes | None = text if len(text) <= MODEL_BYTES_MAX else None  # until the first row
        self._answer_one: Callable[[Floats], Floats] | None = None
        self._choosing = threading.Lock()

    def scores(self, X: Floats) -> Floats:
        """What the objective answers: float32 [n], or [n, c] with multi:softprob. NaN is a missing value."""
        if len(X) == 1:
            answer = self._answer_one or self._choose()
            return answer(np.asarray(X[0], np.float32))
        if len(X) == 0:
            return self.scores(np.zeros((1, self.n_features), np.float32))[:0]
        return cast(Floats, self._booster.inplace_predict(np.ascontiguousarray(X, np.float32)))

    def _choose(self) -> Callable[[Floats], Floats]:
        with self._choosing:
            if self._answer_one is None:
                trees = None if self._text is None else _trees_by_hand(self._booster, self._text)
                self._answer_one = self._through_library() if trees is None else trees.scores
                self._text = None
            return self._answer_one

    def _through_library(self) -> Callable[[Floats], Floats]:
        booster, local = self._booster, threading.local()
        if self._n_threads != 1:
            booster = _load(bytes(booster.save_raw("ubj")), 1)

        def answer(row: Floats) -> Floats:
            asked: _OneRow | None = getattr(local, "row", None)
            if asked is None:
                asked = local.row = _OneRow(booster, self.n_features)
            return asked.scores(row)

        return answer


def _trees_by_hand(booster: Any, text: bytes) -> BoostedTrees | None:
    """Of a booster and its file; None where XGBoost must be asked for single rows too."""
    if not text.startswith(_UBJSON):
        text = bytes(booster.save_raw("ubj"))
    n_trees = _N_TREES.search(text)
    if n_trees and int(n_trees[1]) > TREES_MAX:
        return None
    try:
        trees = BoostedTrees(ubjson_read(text))
        rows = trees.probes(_N_PROBES)
        ours, expected = np.concatenate([trees.scores(row) for row in rows]), booster.inplace_predict(rows)
        if ours.shape != expected.shape:
            raise ValueError(f"its answers are {ours.shape}, not {expected.shape}")
    except OtherModel:
        return None
    except (LookupError, TypeError, AttributeError, OverflowError, ValueError) as error:
        logger.warning("XGBoost answers single rows itself, its model cannot be read: %r", error)
        return None
    if not np.allclose(ours, expected, rtol=_TOLERANCE, atol=np.finfo(np.float32).tiny, equal_nan=True):
        difference = np.abs(ours - expected).max()
        logger.warning("XGBoost answers single rows itself, by hand they differ by up to %g", difference)
        return None
    return trees


class _OneRow:
    """Buffers of one thread for `XGBoosterPredictFromDense`, through which `inplace_predict` goes as well."""

    def __init__(self, booster: Any, n_features: int) -> None:
        self._booster = booster  # its handle must not be freed
        self._row = np.empty((1, n_features), np.float32)
        interface = {
            "data": [self._row.ctypes.data, True],
            "shape": [1, n_features],
            "typestr": self._row.dtype.str,
            "version": 3,
        }
        self._interface = json.dumps(interface).encode()
        self._shape = ctypes.POINTER(ctypes.c_uint64)()
        self._n_dims = ctypes.c_uint64()
        self._result = ctypes.POINTER(ctypes.c_float)()
        self._places = (ctypes.byref(self._shape), ctypes.byref(self._n_dims), ctypes.byref(self._result))
        self._call = _LIBRARY.XGBoosterPredictFromDense

    def scores(self, row: Floats) -> Floats:
        self._row[0] = row
        failed = self._call(self._booster.handle, self._interface, _CONFIG, None, *self._places)
        if failed:
            raise RuntimeError(f"XGBoost could not predict: {_LIBRARY.XGBGetLastError()!r}")
        if self._n_dims.value == 1:
            return np.array((self._result[0],), np.float32)
        n = self._shape[1]
        return np.array(self._result[:n], np.float32).reshape(1, n)


def _read(model_dir: Path) -> bytes:
    try:
        return (model_dir / FILE).read_bytes()
    except OSError as error:
        raise ModelError(f"The model has no readable file {FILE}: {error.strerror or error}") from error


def _load(text: bytes, n_threads: int) -> Any:
    try:
        booster = xgb.Booster({"nthread": n_threads, "verbosity": 0})
        booster.load_model(bytearray(text))
        booster.set_param({"nthread": n_threads, "verbosity": 0})
    except xgb.core.XGBoostError as error:
        raise ModelError(f"The model's file {FILE} cannot be read: {_words(error)}") from error
    return booster
