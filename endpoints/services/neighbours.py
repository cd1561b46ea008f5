"""Inspects one answer of a k-NN endpoint: the neighbours of a row, where they stand in the training data, their votes.

Asks the endpoint as any client would and changes nothing. Called by the inspector's page and by REST.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.utils.translation import gettext as _

from endpoints.evaluation.labels import LabelNames
from endpoints.models import Endpoint, Model, ProductionVariant
from endpoints.neighbours import Vote, means_by_k, votes_by_k
from endpoints.selectors.endpoints import endpoint_get
from endpoints.services.evaluation_facts import index_metric
from endpoints.services.invocations import InvokeResult, endpoint_invoke
from endpoints.services.neighbour_query import Query, features_of, query_of
from jobs.models import DatasetVersion, TrainingInput
from jobs.selectors.dataset_rows import dataset_rows
from mlplatform.core.errors import (
    Conflict,
    DataError,
    InvalidRequest,
    ModelError,
    PlatformError,
    ServiceUnavailable,
    Throttled,
)
from mlplatform.core.people.access import Actor
from mlplatform.core.translation import translated

ALGORITHM: Final = "knn"
ACCEPT: Final = "application/json; verbose=true; rows=true"
ROWS_MAX: Final = 200
"""Of so many neighbours the cells are read; votes and distances are there of all."""
CELLS_MAX: Final = 200_000


@dataclass(frozen=True)
class Neighbour:
    """`row` counts from 1 in the training data; None, like its cells, where the model does not say."""

    rank: int
    distance: float
    label: str
    row: int | None = None
    values: list[str] | None = None


@dataclass(frozen=True)
class Neighbourhood:
    """What an endpoint answered about one row. `votes` has the answer for every k from 1 to the model's own.

    `labels` has the words of the neighbours' codes, `unread` why their cells are not there, `index_metric` what the
    distances are: squared Euclidean ones of `L2`; None where it is not known.
    """

    endpoint: Endpoint
    model: Model
    variant: str
    query: Query
    feature_names: list[str]
    is_classifier: bool
    predicted: str
    neighbours: list[Neighbour]
    votes: list[Vote]
    labels: dict[float, str] = field(default_factory=dict)
    true_label: str | None = None
    training_data: DatasetVersion | None = None
    unread: str = ""
    index_metric: str | None = None
    duration_ms: float = 0.0

    def label_of(self, vote: Vote) -> str:
        """The winner of a vote in words; of a regressor the mean."""
        return self.labels.get(vote.value, f"{vote.value:.6g}")


def endpoint_neighbours(
    *,
    actor: Actor,
    name: str,
    row: Sequence[str | float] | None = None,
    dataset: str | None = None,
    row_number: int | None = None,
    variant: str | None = None,
) -> Neighbourhood:
    """The neighbours of a row that is given by its features, or by a dataset and the row's number in it.

    Args:
        row: Features in the model's order, without the label.
        dataset: `name` or `name@version`.
        row_number: From 1.
        variant: Which of the endpoint's variants is asked; else the first that is a k-NN model.

    Raises:
        NotFound: no such endpoint.
        InvalidRequest: a field that cannot be used; the model's words about a cell are at `row`.
        Conflict: the endpoint serves no k-NN model.
        ModelError, ServiceUnavailable, Throttled: the endpoint does not answer.
    """
    endpoint = endpoint_get(actor=actor, name=name)
    chosen = _variant(endpoint, variant)
    query = query_of(actor, chosen.model, row=row, dataset=dataset, row_number=row_number)
    answer = endpoint_invoke(
        actor=actor, name=name, body=_csv(query.values), accept=ACCEPT, variant=chosen.name
    )
    return _neighbourhood(endpoint, chosen, query, _prediction(answer), answer.duration_ms)


def knn_variants(*, endpoint: Endpoint) -> list[ProductionVariant]:
    """The variants whose neighbours can be inspected; none where the endpoint serves other algorithms."""
    config = endpoint.live or endpoint.wanted
    return [one for one in config.variants.all() if one.model.algorithm == ALGORITHM]


def _variant(endpoint: Endpoint, name: str | None) -> ProductionVariant:
    variants = knn_variants(endpoint=endpoint)
    if not variants:
        raise Conflict(
            _("Endpoint “%(name)s” serves no k-NN model, so there are no neighbours to show")
            % {"name": endpoint.name}
        )
    if not name:
        return variants[0]
    found = next((one for one in variants if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in variants)
        raise InvalidRequest.for_field(
            "variant",
            _("“%(name)s” is not a k-NN variant of this endpoint; it has %(known)s")
            % {"name": name[:63], "known": known},
        )
    return found


def _prediction(answer: InvokeResult) -> dict[str, Any]:
    """The one prediction of an answer. Raises the error that it tells of."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = {}
    if answer.status >= 300:
        raise _refusal(
            answer.status, str(said.get("message") or answer.body[:300].decode("utf-8", "replace"))
        )
    predictions = said.get("predictions") or [{}]
    if not predictions[0].get("labels"):
        raise ModelError(_("The endpoint's answer has no neighbours"))
    return dict(predictions[0])


def _refusal(status: int, message: str) -> PlatformError:
    if status in {400, 413, 415}:
        return InvalidRequest.for_field("row", message)
    return {424: ModelError, 429: Throttled}.get(status, ServiceUnavailable)(message)


def _neighbourhood(
    endpoint: Endpoint,
    variant: ProductionVariant,
    query: Query,
    prediction: dict[str, Any],
    duration_ms: float,
) -> Neighbourhood:
    model = variant.model
    names = LabelNames(model.manifest.get("label_mapping"))
    is_classifier = model.manifest.get("predictor_type") != "regressor"
    codes = [float(code) for code in prediction["labels"]]
    labels = {code: names.name(code) for code in codes}
    true = _code(query.label, labels)
    numbers = [int(number) for number in prediction.get("rows") or []]
    version = _training_data(model)
    cells, unread = _cells(version, numbers)
    return Neighbourhood(
        endpoint=endpoint,
        model=model,
        variant=variant.name,
        query=query,
        feature_names=_names(model, query, version),
        is_classifier=is_classifier,
        predicted=names.name(float(prediction["predicted_label"])),
        neighbours=[
            Neighbour(
                rank=rank,
                distance=float(distance),
                label=labels[code],
                row=numbers[rank - 1] if numbers else None,
                values=cells.get(numbers[rank - 1]) if numbers else None,
            )
            for rank, (distance, code) in enumerate(zip(prediction["distances"], codes, strict=True), start=1)
        ],
        votes=votes_by_k(codes, true=true) if is_classifier else means_by_k(codes),
        labels=labels if is_classifier else {},
        true_label=query.label if true is None else labels.get(true, query.label),
        training_data=version if cells else None,
        unread=unread,
        index_metric=index_metric(model=model),
        duration_ms=duration_ms,
    )


def _code(label: str | None, labels: dict[float, str]) -> float | None:
    """The code of the true label; one that no neighbour has is no code of theirs, which counts as no vote for it."""
    if label is None:
        return None
    found = next((code for code, text in labels.items() if text == label), None)
    if found is not None:
        return found
    try:
        return float(label)
    except ValueError:
        return float("nan")


def _training_data(model: Model) -> DatasetVersion | None:
    """The version that the model's neighbours are rows of; None where it was no dataset, or one that is gone."""
    given = (
        TrainingInput.objects.filter(job_id=model.training_job_id, channel="train")
        .select_related("dataset_version__dataset")
        .first()
    )
    return given.dataset_version if given else None


def _cells(version: DatasetVersion | None, numbers: list[int]) -> tuple[dict[int, list[str]], str]:
    """The features of the nearest neighbours by row number, or why there are none."""
    if not numbers:
        return {}, _("This model was trained before row numbers were kept. Train it again to see the rows.")
    if version is None:
        return {}, _("The training data is no longer here as a dataset, so only row numbers are shown.")
    n_read = min(ROWS_MAX, max(1, CELLS_MAX // max(version.n_columns, 1)))
    try:
        rows = dataset_rows(version=version, numbers=numbers[:n_read])
    except (DataError, PlatformError) as error:
        reason = error.text if isinstance(error, DataError) else error.message
        return {}, _("The rows cannot be read: %(reason)s") % {"reason": translated(reason)}
    return {number: features_of(cells, version.schema.get("label")) for number, cells in rows.items()}, ""


def _names(model: Model, query: Query, version: DatasetVersion | None) -> list[str]:
    known = model.manifest.get("feature_names")
    for source in (version, query.version):
        if not known and source is not None:
            known = features_of(source.schema["columns"], source.schema.get("label"))
    return list(known or (f"c{place}" for place in range(len(query.values))))


def _csv(values: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode()
