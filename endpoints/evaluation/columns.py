"""A table's feature columns as the model wants them: as many, and in its order. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from endpoints.evaluation.failure import RunFailed
from mlplatform.core.tabular.schema import TableSchema
from mlplatform.core.text import text as _


def columns_check(schema: TableSchema, n_features: int | None) -> None:
    """Raises RunFailed where the model expects another number of feature columns; None where that is not known."""
    if n_features is not None and schema.columns and schema.n_features != n_features:
        raise RunFailed(
            _(
                "The dataset has {n} feature columns; the model expects {expected}",
                n=schema.n_features,
                expected=n_features,
            )
        )


def column_order(schema: TableSchema, wanted: Sequence[str] | None) -> list[int] | None:
    """Where the model's features stand in the table; None when they are in order or go by other names."""
    names = schema.feature_names
    if (
        not wanted
        or list(names) == list(wanted)
        or sorted(names) != sorted(wanted)
        or len(set(names)) < len(names)
    ):
        return None
    return [names.index(name) for name in wanted]
