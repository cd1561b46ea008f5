"""The row whose neighbours are asked for: pasted values, or a row of a dataset. Checked against the model's signature.

Called by `endpoints.services.neighbours`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext as _

from endpoints.models import Model
from jobs.models import DatasetVersion
from jobs.selectors.dataset_rows import dataset_rows
from jobs.selectors.datasets import dataset_version_get
from mlplatform.core.errors import DataError, InvalidRequest, NotFound
from mlplatform.core.people.access import Actor
from mlplatform.core.translation import translated

CELL_CHARACTERS_MAX: Final = 100


@dataclass(frozen=True)
class Query:
    """The row that is asked about: its features as texts, and where it comes from if from a dataset."""

    values: list[str]
    label: str | None = None
    version: DatasetVersion | None = None
    number: int | None = None


def query_of(
    actor: Actor,
    model: Model,
    *,
    row: Sequence[str | float] | None,
    dataset: str | None,
    row_number: int | None,
) -> Query:
    """Exactly one of `row` and `dataset` with its `row_number`. Raises InvalidRequest that names the field."""
    if (row is None) == (not dataset):
        raise InvalidRequest.for_field("row", _("give either a row or a dataset with a row number"))
    if row is not None:
        return _pasted(model, [str(value).strip() for value in row])
    return _of_dataset(actor, model, dataset or "", row_number)


def _pasted(model: Model, values: list[str]) -> Query:
    n_features = model.manifest.get("n_features")
    if n_features is not None and len(values) != n_features:
        raise InvalidRequest.for_field(
            "row",
            _("%(given)s values; the model wants %(wanted)s, without the label")
            % {"given": len(values), "wanted": n_features},
        )
    if any(len(value) > CELL_CHARACTERS_MAX for value in values):
        raise InvalidRequest.for_field("row", _("a value is too long to be a number"))
    return Query(values)


def _of_dataset(actor: Actor, model: Model, dataset: str, row_number: int | None) -> Query:
    try:
        version = dataset_version_get(actor=actor, reference=dataset)
    except NotFound as error:
        raise InvalidRequest.for_field("dataset", translated(error.message)) from None
    label = version.schema.get("label")
    n_features, wanted = version.n_columns - (label is not None), model.manifest.get("n_features")
    if wanted is not None and n_features != wanted:
        raise InvalidRequest.for_field(
            "dataset",
            _("%(name)s has %(given)s feature columns; the model wants %(wanted)s")
            % {"name": version, "given": n_features, "wanted": wanted},
        )
    if row_number is None or not 1 <= row_number <= version.n_rows:
        raise InvalidRequest.for_field(
            "row_number",
            _("%(name)s has the rows 1 to %(last)s") % {"name": version, "last": version.n_rows},
        )
    try:
        cells = dataset_rows(version=version, numbers=[row_number])[row_number]
    except (DataError, NotFound) as error:
        said = error.text if isinstance(error, DataError) else error.message
        raise InvalidRequest.for_field("dataset", translated(said)) from None
    except KeyError:
        raise InvalidRequest.for_field("row_number", _("the file has no such row")) from None
    return Query(
        features_of(cells, label), None if label is None else cells[label] or None, version, row_number
    )


def features_of(cells: Sequence[str], label: int | None) -> list[str]:
    """A row's cells without that of the label."""
    return [cell for place, cell in enumerate(cells) if place != label]
