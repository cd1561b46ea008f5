"""Whether a table's labels are ones that the model can answer: a failure where none is, else a word about the
others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from endpoints.evaluation.collected import CollectedClasses
from endpoints.evaluation.failure import RunFailed
from endpoints.evaluation.label_codes import NO_LABEL
from mlplatform.core.tabular.cells import shown
from mlplatform.core.tabular.schema import BOOLEAN_MAPPING, TableSchema
from mlplatform.core.text import text as _

_SHOWN_MAX: Final = 5


def values_check(schema: TableSchema, model_labels: Mapping[str, int] | None) -> None:
    """Raises RunFailed where the labels are texts and the model predicts a number that is no code of theirs."""
    mapping = schema.label_mapping
    if mapping and mapping not in (BOOLEAN_MAPPING, model_labels):
        raise RunFailed(
            _(
                "The dataset's labels are text ({labels}); the model predicts a number",
                labels=_listed(mapping),
            )
        )


def known_labels_check(labels: NDArray[np.uint16], names: list[str], known: Mapping[str, int]) -> str:
    """The warning, if any, where all labels are known that the model was trained with; before the table is sent.

    Args:
        labels: Positions in `names`, or NO_LABEL.

    Raises:
        RunFailed: None of the labels is known.
    """
    positions, counts = _counted(labels)
    unseen = {names[at]: count for at, count in zip(positions, counts, strict=True) if names[at] not in known}
    if not unseen:
        return ""
    if len(unseen) == len(positions):
        raise RunFailed(
            _(
                "The model never saw any of the dataset's labels ({labels}); it knows {known}",
                labels=_listed(unseen),
                known=_listed(known),
            )
        )
    return _(
        "Rows with labels that the model never saw ({labels}): {n}. They count as wrong.",
        labels=_listed(unseen),
        n=sum(unseen.values()),
    )


def answered_labels_check(collected: CollectedClasses) -> str:
    """The warning, if any, where only the answers tell which labels the model has; after all of them.

    Raises:
        RunFailed: There are several labels, and no answer has any of them: they cannot be the model's.
    """
    names, answered = collected.codes.names, collected.codes.answered
    positions, counts = _counted(collected.labels)
    unseen = {names[at]: count for at, count in zip(positions, counts, strict=True) if at not in answered}
    if not unseen:
        return ""
    if len(unseen) == len(positions) > 1:
        raise RunFailed(
            _(
                "No answer has any of the dataset's labels ({labels}); the endpoint answers {answered}",
                labels=_listed(unseen),
                answered=_listed(names[at] for at in sorted(answered)),
            )
        )
    return _(
        "Rows with labels that no answer has ({labels}): {n}. They count as wrong; the model may never have "
        "seen these labels.",
        labels=_listed(unseen),
        n=sum(unseen.values()),
    )


def _counted(labels: NDArray[np.uint16]) -> tuple[list[int], list[int]]:
    positions, counts = np.unique(labels[labels != NO_LABEL], return_counts=True)
    return positions.tolist(), counts.tolist()


def _listed(names: Iterable[str] | Collection[str]) -> str:
    found = list(names)
    words = ", ".join(shown(name)[1:-1] for name in found[:_SHOWN_MAX])
    return f"{words}, …" if len(found) > _SHOWN_MAX else words
