"""The scores of a finished model on the rows of another channel, in the log as the managed service has them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from jobs.algorithms.base import Predictor, TrainingContext
from jobs.algorithms.quality_log import quality_log
from jobs.algorithms.scores import ClassifierScore, RegressorScore, Score
from jobs.algorithms.training_table import finite_check, width_check
from mlplatform.core.errors import DataError
from mlplatform.core.text import text as _

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH_ROWS: Final = 5000


def channel_score(
    context: TrainingContext,
    predictor: Predictor,
    *,
    channel_name: str,
    algorithm: str,
    is_classifier: bool,
    missing: bool = False,
) -> None:
    """Scores the channel batch by batch and logs it; nothing where the job has no such channel.

    Args:
        predictor: Answers `predicted_label` (classifier) or `score`.
        algorithm: Named in messages.
        missing: Whether features may be missing.

    Raises:
        DataError: The channel has no rows, other columns, or a cell that cannot be used.
    """
    channel = context.channels.get(channel_name)
    if channel is None:
        return
    score: Score = ClassifierScore() if is_classifier else RegressorScore()
    n_rows = 0
    for batch in channel.batches(_BATCH_ROWS, require_label=True):
        context.check_stop()
        if len(batch.X) == 0:
            continue
        width_check(batch, channel, predictor.n_features)
        if not missing:
            finite_check(batch, channel, algorithm=algorithm)
        assert batch.y is not None, "asked for with require_label"
        score.update(_label(predictor, batch.X, is_classifier), batch.y)
        n_rows += len(batch.X)
    if n_rows == 0:
        raise DataError(
            _(
                "the {channel} channel has no rows; leave the channel out or give it at least one row",
                channel=channel_name,
            )
        )
    values = score.values()
    if "mse" in values:
        values = {"rmse": math.sqrt(values["mse"]), **values}
    for name, value in values.items():
        context.log(f"#test_score ({context.host}) : ({name!r}, {value!r})")
    quality_log(context, channel_name, values)


def _label(predictor: Predictor, X: NDArray[np.float32], is_classifier: bool) -> NDArray[np.float32]:
    return predictor.predict(X)["predicted_label" if is_classifier else "score"]
