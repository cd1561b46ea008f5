"""What an endpoint answers, as arrays: one number per row, and where it answers them the labels of its neighbours.

Any algorithm's answer is taken, and any engine's: what is not as expected is told and never raises anything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from endpoints.evaluation.failure import RunFailed
from endpoints.evaluation.script_answers import code_of, values_of
from endpoints.evaluation.verbose_answers import verbose_read
from mlplatform.core.text import text as _

Floats = NDArray[np.float32]
_NAMES = ("predicted_label", "score")


@dataclass(frozen=True)
class Answered:
    """The answer for n rows.

    Attributes:
        own: float32 [n], what the endpoint predicts.
        neighbours: float32 [n, k], labels, nearest first; None where not every row has them, or not as many.
    """

    own: Floats
    neighbours: Floats | None


def answer_read(body: bytes, n_rows: int) -> Answered:
    """Raises RunFailed for an answer that does not have a number for each of `n_rows` rows."""
    quick = verbose_read(body, n_rows)
    if quick is not None:
        return Answered(*quick)
    predictions = predictions_of(body, n_rows)
    own = _own(predictions)
    if not np.isfinite(own).all():
        raise _no_number(predictions[int(np.argmin(np.isfinite(own)))])
    return Answered(own, _neighbours(predictions))


def script_answer_read(body: bytes, n_rows: int, *, labels: Mapping[str, int] | None) -> Answered:
    """The same of a script: any list of numbers, or of texts that are labels of the model's.

    Raises RunFailed.
    """
    own = np.array(script_numbers(body, n_rows, labels=labels), np.float64)
    if not np.isfinite(own).all():
        raise _no_number(own[int(np.argmin(np.isfinite(own)))])
    with np.errstate(over="ignore"):
        return Answered(own.astype(np.float32), None)


def script_numbers(body: bytes, n_rows: int, *, labels: Mapping[str, int] | None) -> list[float]:
    """A number for each row. Raises RunFailed."""
    values = values_of(body, n_rows)
    if values is None:
        raise RunFailed(
            _(
                "The script's answer is not a list with one number or label for each of {n_rows} rows: {answer}",
                n_rows=n_rows,
                answer=body[:200].decode("utf-8", "replace"),
            )
        )
    return [number_of(code_of(value, labels)) for value in values]


def predictions_of(body: bytes, n_rows: int) -> list[Any]:
    """The list of predictions, as long as the rows asked for. Raises RunFailed."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RunFailed(_("The endpoint's answer is not JSON: {error}", error=str(error))) from None
    predictions = content.get("predictions") if isinstance(content, dict) else None
    if not isinstance(predictions, list):
        shown = body[:200].decode("utf-8", "replace")
        raise RunFailed(_("The endpoint's answer has no list of predictions: {answer}", answer=shown))
    if len(predictions) != n_rows:
        raise RunFailed(
            _("The endpoint answered {n} predictions for {n_rows} rows", n=len(predictions), n_rows=n_rows)
        )
    return predictions


def number_of(prediction: Any) -> float:
    """The one number of a prediction, whatever the algorithm calls it. Raises RunFailed."""
    found = prediction
    if isinstance(prediction, dict):
        found = next((prediction[name] for name in _NAMES if _is_number(prediction.get(name))), None)
    if not _is_number(found):
        raise _no_number(prediction)
    return float(found)


def _own(predictions: Sequence[Any]) -> Floats:
    try:
        found = np.array([one[_NAMES[0]] for one in predictions])
    except (TypeError, KeyError, IndexError, ValueError):
        found = np.empty(0, object)
    if found.dtype.kind not in "fiu" or found.ndim != 1:
        found = np.array([number_of(one) for one in predictions])
    with np.errstate(over="ignore"):
        return found.astype(np.float32)


def _neighbours(predictions: Sequence[Any]) -> Floats | None:
    try:
        labels = np.array([one["labels"] for one in predictions])
    except (TypeError, KeyError, IndexError, ValueError):
        return None
    if labels.dtype.kind not in "fiu" or labels.ndim != 2 or not labels.shape[1]:
        return None
    with np.errstate(over="ignore"):
        narrow = labels.astype(np.float32)
    return narrow if np.isfinite(narrow).all() else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _no_number(prediction: Any) -> RunFailed:
    answer = str(prediction)[:200]
    return RunFailed(_("The endpoint's answer has no predicted label: {answer}", answer=answer))
