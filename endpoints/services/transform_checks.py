"""What a request for a batch transform can be wrong about, all of it at once. Not what becomes of it (`transforms`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from endpoints.models import Model
from endpoints.selectors.models import model_get
from endpoints.services.transform_inputs import OBJECTS_MAX, transform_objects
from endpoints.transform.filters import FilterError, FilterMiss, RecordFilter, all_but, filter_parse
from endpoints.transform.spec import CSV, JSON, JSON_LINES, media_type_of
from jobs.instance_types import InstanceType, instance_type_get
from jobs.models import DatasetVersion
from jobs.selectors.datasets import dataset_version_get
from jobs.services.request_checks import (
    environment_check,
    instance_count_check,
    runtime_check,
    tags_check,
    whole_number_check,
)
from mlplatform.core import clock
from mlplatform.core.errors import FieldError, InvalidRequest, NotFound
from mlplatform.core.names import name_after, name_check, uri_split
from mlplatform.core.people.access import Actor
from mlplatform.core.tabular.schema import TableSchema
from mlplatform.core.text import text as _

PAYLOAD_MAX_MB: Final = 100
CONCURRENT_MAX: Final = 64
SPLIT_TYPES: Final = ("Line", "None")
STRATEGIES: Final = ("MultiRecord", "SingleRecord")
JOINS: Final = ("None", "Input")
_FILTERABLE: Final = frozenset({CSV, JSON, JSON_LINES})
_URI_MAX: Final = 1024
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class TransformRequest:
    """A batch transform as asked for: exactly one of `dataset` (`name` or `name@version`) and `uri` (`s3://…`).

    Args:
        name: None or empty for a name made of the model and the time.
        content_type: Of the requests; empty for what the input is.
        accept: What the model is to answer; empty for its own choice.
    """

    model: str
    name: str | None = None
    dataset: str | None = None
    uri: str | None = None
    content_type: str = ""
    split_type: str = "Line"
    accept: str = ""
    batch_strategy: str = "MultiRecord"
    max_payload_mb: int = 6
    max_concurrent: int = 1
    input_filter: str = "$"
    output_filter: str = "$"
    join: str = "None"
    instance_type: str = "local.cpu"
    instance_count: int = 1
    max_runtime_s: int = 86400
    environment: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CheckedTransform:
    """A request that can be carried out."""

    name: str
    model: Model
    version: DatasetVersion | None
    uri: str
    content_type: str
    instance: InstanceType
    environment: dict[str, str]
    tags: dict[str, str]


def transform_check(*, actor: Actor, request: TransformRequest) -> CheckedTransform:
    """The request with all that it refers to. Raises InvalidRequest with every field that is wrong."""
    errors: list[FieldError] = []
    name = _name(request.name, request.model, errors)
    model = _model(actor, request.model, errors)
    version, uri = _input(actor, request, errors)
    content_type = _content_type(request, version, errors)
    _one_of("split_type", request.split_type, SPLIT_TYPES, errors)
    _one_of("batch_strategy", request.batch_strategy, STRATEGIES, errors)
    _one_of("join", request.join, JOINS, errors)
    whole_number_check("max_payload_mb", request.max_payload_mb, 1, PAYLOAD_MAX_MB, errors)
    whole_number_check("max_concurrent", request.max_concurrent, 1, CONCURRENT_MAX, errors)
    _header_text("accept", request.accept, errors)
    input_filter = _filter("input_filter", request.input_filter, errors)
    _filter("output_filter", request.output_filter, errors)
    _can_filter(request, content_type, version, errors)
    instance = _collect(errors, lambda: instance_type_get(request.instance_type))
    instance_count_check(request.instance_count, errors)
    runtime_check(request.max_runtime_s, errors)
    environment = environment_check(request.environment, errors)
    tags = tags_check(request.tags, errors)
    if version is not None and model is not None and input_filter is not None:
        is_table = media_type_of(content_type) == CSV and request.split_type == "Line"
        _columns(version, model, input_filter, errors) if is_table else None
    if errors:
        raise InvalidRequest.for_fields(errors)
    assert model is not None and instance is not None
    return CheckedTransform(
        name=name,
        model=model,
        version=version,
        uri=uri,
        content_type=content_type,
        instance=instance,
        environment=environment,
        tags=tags,
    )


def features_filter(schema: TableSchema) -> str:
    """The input filter that leaves the label out; `$` for a table without one."""
    return "$" if schema.label is None else all_but(schema.label, len(schema.columns))


def _name(name: str | None, model: str, errors: list[FieldError]) -> str:
    if not name:
        return name_after(model, clock.now(), otherwise="transform")
    _collect(errors, lambda: name_check(name))
    return name


def _model(actor: Actor, name: str, errors: list[FieldError]) -> Model | None:
    if not name:
        errors.append(FieldError("model", _("choose a model")))
        return None
    return _collect(errors, lambda: model_get(actor=actor, name=name), field="model")


def _input(
    actor: Actor, request: TransformRequest, errors: list[FieldError]
) -> tuple[DatasetVersion | None, str]:
    if bool(request.dataset) == bool(request.uri):
        errors.append(FieldError("dataset", _("give either a dataset or the address of objects (uri)")))
        return None, ""
    if request.dataset:
        reference = request.dataset
        version = _collect(
            errors, lambda: dataset_version_get(actor=actor, reference=reference), field="dataset"
        )
        if version is not None and version.n_rows < 1:
            errors.append(FieldError("dataset", _("dataset {dataset} has no rows", dataset=str(version))))
        return version, version.uri if version is not None else ""
    uri = request.uri or ""
    _collect(errors, lambda: _objects_check(actor, uri))
    return None, uri


def _objects_check(actor: Actor, uri: str) -> None:
    if len(uri) > _URI_MAX:
        raise InvalidRequest.for_field(
            "uri", _("has {n} characters; use at most {limit}", n=len(uri), limit=_URI_MAX)
        )
    bucket, _key = uri_split(uri)
    if bucket != actor.project.bucket:
        said = _(
            "bucket {bucket} is not this project's; use s3://{own}/…",
            bucket=repr(bucket),
            own=actor.project.bucket,
        )
        raise InvalidRequest.for_field("uri", said)
    n_objects = len(transform_objects(uri=uri))
    if not n_objects:
        raise InvalidRequest.for_field("uri", _("there is no object at or under {uri}", uri=uri[:200]))
    if n_objects > OBJECTS_MAX:
        limit = f"{OBJECTS_MAX:,}"
        raise InvalidRequest.for_field(
            "uri", _("there are more than {limit} objects under {uri}", limit=limit, uri=uri[:200])
        )


def _content_type(request: TransformRequest, version: DatasetVersion | None, errors: list[FieldError]) -> str:
    _header_text("content_type", request.content_type, errors)
    asked = request.content_type.strip()
    if version is None:
        return asked or CSV
    own = media_type_of(version.content_type)
    accepted = [CSV, JSON_LINES] if own == JSON_LINES else [CSV]
    if request.split_type != "None" and asked and media_type_of(asked) not in accepted:
        said = _(
            "{value} cannot be made of dataset {dataset}; use {accepted}",
            value=repr(asked[:80]),
            dataset=str(version),
            accepted=", ".join(accepted),
        )
        errors.append(FieldError("content_type", said))
    return asked or (CSV if request.split_type != "None" else own)


def _can_filter(
    request: TransformRequest, content_type: str, version: DatasetVersion | None, errors: list[FieldError]
) -> None:
    """Filters and joins need records that can be looked into."""
    media_type = media_type_of(content_type)
    is_whole_table = request.split_type == "None" and media_type in {CSV, JSON_LINES}
    if media_type in _FILTERABLE and not is_whole_table:
        return
    wrong = {"input_filter": request.input_filter != "$", "join": request.join == "Input"}
    said = (
        _("a record of {type} cannot be looked into; use CSV, JSON or JSON Lines", type=media_type)
        if media_type not in _FILTERABLE
        else _("an object that is not split is one record; use the split type Line")
    )
    errors += [FieldError(name, said) for name, is_wrong in wrong.items() if is_wrong]


def _columns(
    version: DatasetVersion, model: Model, input_filter: RecordFilter, errors: list[FieldError]
) -> None:
    """The rows must have as many cells as the model takes, once they are filtered."""
    schema = TableSchema.from_dict(version.schema)
    n_features = model.manifest.get("n_features")
    names = {name: position for position, name in enumerate(schema.columns)}
    try:
        n_sent = len(input_filter.columns(len(schema.columns), names=names))
    except FilterMiss as miss:
        said = _(
            "finds nothing in a row of {dataset}, which {reason}", dataset=str(version), reason=miss.message
        )
        errors.append(FieldError("input_filter", said))
        return
    if not isinstance(n_features, int) or n_sent == n_features:
        return
    if schema.label is not None and n_sent == n_features + 1 and input_filter.is_whole:
        said = _(
            "the rows of {dataset} have {n_columns} columns and model {model} takes {n_features}: leave the label "
            "column “{label}” out with the input filter {filter}",
            dataset=str(version),
            n_columns=n_sent,
            model=model.name,
            n_features=n_features,
            label=str(schema.label_name),
            filter=features_filter(schema),
        )
    else:
        said = _(
            "{n_columns} columns of the {n_all} of {dataset} would be sent; model {model} takes {n_features}",
            n_columns=n_sent,
            n_all=len(schema.columns),
            dataset=str(version),
            model=model.name,
            n_features=n_features,
        )
    errors.append(FieldError("input_filter", said))


def _filter(name: str, text: str, errors: list[FieldError]) -> RecordFilter | None:
    try:
        return filter_parse(text)
    except FilterError as error:
        errors.append(FieldError(name, error.message))
        return None


def _one_of(name: str, value: str, accepted: tuple[str, ...], errors: list[FieldError]) -> None:
    if value not in accepted:
        said = _(
            "{value} is not accepted; use {values}", value=repr(str(value)[:40]), values=", ".join(accepted)
        )
        errors.append(FieldError(name, said))


def _header_text(name: str, value: str, errors: list[FieldError]) -> None:
    if len(value) > 80 or not value.isascii() or not (value.isprintable() or not value):
        errors.append(FieldError(name, _("is not a content type; use at most 80 ASCII characters")))


def _collect(errors: list[FieldError], check: Callable[[], T], *, field: str = "") -> T | None:
    """The result of `check`, or None with its complaints added to `errors`."""
    try:
        return check()
    except InvalidRequest as error:
        errors += error.errors
    except NotFound as error:
        errors.append(FieldError(field, error.message))
    return None
