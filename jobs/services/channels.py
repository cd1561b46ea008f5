"""The channels of a training job's request, checked: which data goes in, and whether the algorithm can use
it.

Called by `training_job_create` before anything is stored. How a channel reaches the process is
`jobs.services.inputs`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from jobs.algorithms.base import LIBSVM, AlgorithmSpec, Channel, DataFacts
from jobs.models import Dataset, DatasetVersion, TrainingInput
from mlplatform.core import names
from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.core.models import Project
from mlplatform.core.storage.objects import object_store
from mlplatform.core.tabular.schema import TableSchema
from mlplatform.core.text import text as _

URI_MAX: Final = 1024
LABEL_FIRST: Final = ";label_size=1"
CHANNELS_MAX: Final = 20
_CHANNEL_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}\Z")
_MEDIA_TYPE: Final = re.compile(
    r"[a-z0-9][a-z0-9.+-]*/[a-z0-9][a-z0-9.+-]*(?:;[\x20-\x7e]*)?\Z", re.IGNORECASE
)


@dataclass(frozen=True)
class ChannelRequest:
    """One channel as asked for: exactly one of `dataset` (`name` or `name@version`) and `uri` (`s3://…`)."""

    dataset: str | None = None
    uri: str | None = None
    content_type: str | None = None
    input_mode: str = "File"


@dataclass(frozen=True)
class ResolvedChannel:
    """A channel that can be used. `schema` is None for objects under a URI, which are read as the service
    reads them.
    """

    channel: str
    uri: str
    content_type: str
    input_mode: str
    version: DatasetVersion | None = None
    reference: str = ""
    schema: TableSchema | None = None

    def input_for(self, job_id: int) -> TrainingInput:
        return TrainingInput(
            job_id=job_id,
            channel=self.channel,
            dataset_version=self.version,
            dataset_reference=self.reference,
            uri=self.uri,
            content_type=self.content_type,
            input_mode=self.input_mode,
        )

    @property
    def facts(self) -> DataFacts:
        """What the hyperparameters can be checked against."""
        if self.version is None or self.schema is None:
            return DataFacts()
        return DataFacts(
            n_rows=self.version.n_rows,
            n_features=self.schema.n_features,
            n_classes=_n_classes(self.version, self.schema),
            feature_types=_feature_types(self.schema),
            label_is_text=self.schema.label_mapping is not None,
        )


def channels_resolve(
    *, project: Project, spec: AlgorithmSpec, requests: Mapping[str, ChannelRequest]
) -> tuple[dict[str, ResolvedChannel], list[FieldError]]:
    """The channels that can be used, and everything that is wrong with the others."""
    declared = {channel.name: channel for channel in spec.channels}
    errors: list[FieldError] = []
    if spec.open_channel is not None:
        declared, errors = _open(spec.open_channel, requests)
    else:
        errors = [_unknown(name, spec) for name in requests if name not in declared]
    resolved: dict[str, ResolvedChannel] = {}
    for name, channel in declared.items():
        request = requests.get(name)
        if request is None:
            errors += [_missing(channel, spec)] if channel.required else []
            continue
        try:
            resolved[name] = _resolve(project, spec, channel, request)
        except InvalidRequest as error:
            errors += error.errors
    if not spec.is_open:
        errors += _disagreements(list(resolved.values()))
    return resolved, errors


def _open(
    channel: Channel, requests: Mapping[str, ChannelRequest]
) -> tuple[dict[str, Channel], list[FieldError]]:
    """A declaration for each channel that was asked for, whatever it is called; and what is wrong with the names."""
    declared = {name: replace(channel, name=name) for name in requests if _CHANNEL_NAME.match(name)}
    message = _("is not a channel's name; use 1 to 64 letters, digits, dots, hyphens and underscores")
    errors = [FieldError(f"channels.{name[:64]}", message) for name in requests if name not in declared]
    if len(requests) > CHANNELS_MAX:
        message = _("has {n} channels; use at most {limit}", n=len(requests), limit=CHANNELS_MAX)
        errors.append(FieldError("channels", message))
    return declared, errors


def _unknown(name: str, spec: AlgorithmSpec) -> FieldError:
    accepted = ", ".join(channel.name for channel in spec.channels)
    return FieldError(
        f"channels.{name[:64]}",
        _(
            "{algorithm} has no channel {name}; use {names}",
            algorithm=spec.name,
            name=repr(name[:64]),
            names=accepted,
        ),
    )


def _missing(channel: Channel, spec: AlgorithmSpec) -> FieldError:
    return FieldError(
        f"channels.{channel.name}",
        _("is required by {algorithm}; give a dataset or a uri", algorithm=spec.name),
    )


def _resolve(
    project: Project, spec: AlgorithmSpec, channel: Channel, request: ChannelRequest
) -> ResolvedChannel:
    field = f"channels.{channel.name}"
    if request.input_mode not in channel.input_modes:
        accepted = ", ".join(channel.input_modes)
        raise InvalidRequest.for_field(
            f"{field}.input_mode",
            _(
                "{value} is not supported; use {values}",
                value=repr(str(request.input_mode)[:40]),
                values=accepted,
            ),
        )
    if bool(request.dataset) == bool(request.uri):
        given = (
            _("both are given; give exactly one of dataset and uri")
            if request.dataset
            else _("neither is given; give exactly one of dataset and uri")
        )
        raise InvalidRequest.for_field(field, given)
    if request.dataset:
        return _resolve_dataset(project, spec, channel, request, field)
    return _resolve_uri(project, channel, request, field)


def _resolve_dataset(
    project: Project, spec: AlgorithmSpec, channel: Channel, request: ChannelRequest, field: str
) -> ResolvedChannel:
    version = _version(project, request.dataset or "", f"{field}.dataset")
    schema = TableSchema.from_dict(version.schema)
    reason = "" if spec.is_open else _unusable(version, schema, spec)
    if reason:
        raise InvalidRequest.for_field(f"{field}.dataset", reason)
    content_type = schema.content_type
    asked = request.content_type
    if asked and _bare(asked) != _bare(content_type):
        raise InvalidRequest.for_field(
            f"{field}.content_type",
            _(
                "{value} is not what dataset {dataset} is; use {accepted}",
                value=repr(asked[:80]),
                dataset=str(version),
                accepted=_bare(content_type),
            ),
        )
    _check_content_type(content_type, channel, field)
    return ResolvedChannel(
        channel=channel.name,
        uri=version.uri,
        content_type=content_type,
        input_mode=request.input_mode,
        version=version,
        reference=str(version),
        schema=schema,
    )


def _version(project: Project, reference: str, field: str) -> DatasetVersion:
    name, at, number = reference.partition("@")
    dataset = (
        Dataset.objects.select_related("latest__dataset").filter(project=project, name=name[:63]).first()
    )
    if dataset is None or dataset.latest is None:
        raise InvalidRequest.for_field(
            field,
            _(
                "there is no dataset {name} in project {project}",
                name=repr(reference[:80]),
                project=project.name,
            ),
        )
    if not at:
        return dataset.latest
    versions = dataset.versions.select_related("dataset")
    version = versions.filter(number=int(number)).first() if number.isdecimal() and len(number) < 9 else None
    if version is None:
        raise InvalidRequest.for_field(
            field,
            _(
                "dataset {name} has no version {number}; its latest is {latest}",
                name=repr(name),
                number=repr(number[:20]),
                latest=dataset.latest.number,
            ),
        )
    return version


def _unusable(version: DatasetVersion, schema: TableSchema, spec: AlgorithmSpec) -> str:
    """Why the algorithm cannot use the dataset, or an empty text."""
    if version.n_rows < 1:
        return _("dataset {dataset} has no rows", dataset=str(version))
    if spec.label == "required" and schema.label is None:
        return _(
            "dataset {dataset} has no label column; choose one on its page, {algorithm} needs it",
            dataset=str(version),
            algorithm=spec.name,
        )
    if schema.n_features < 1:
        return _(
            "dataset {dataset} has no column but its label; {algorithm} needs at least one feature column",
            dataset=str(version),
            algorithm=spec.name,
        )
    text = [
        name
        for name, kind in zip(schema.feature_names, _feature_types(schema), strict=True)
        if kind == "text"
    ]
    if text:
        names_shown: str = ", ".join(repr(name) for name in text[:10])
        if text[10:]:
            names_shown = _("{names} and {n} more", names=names_shown, n=len(text) - 10)
        return _(
            "dataset {dataset} has text in feature column {names}; {algorithm} needs numbers: remove the column "
            "and upload a new version",
            dataset=str(version),
            names=names_shown,
            algorithm=spec.name,
        )
    return ""


def _resolve_uri(project: Project, channel: Channel, request: ChannelRequest, field: str) -> ResolvedChannel:
    uri = request.uri or ""
    if len(uri) > URI_MAX:
        raise InvalidRequest.for_field(
            f"{field}.uri", _("has {n} characters; use at most {limit}", n=len(uri), limit=URI_MAX)
        )
    bucket, _key = names.uri_split(uri, field=f"{field}.uri")
    if bucket != project.bucket:
        raise InvalidRequest.for_field(
            f"{field}.uri",
            _(
                "bucket {bucket} is not this project's; use s3://{own}/…",
                bucket=repr(bucket),
                own=project.bucket,
            ),
        )
    content_type = (request.content_type or "text/csv").replace(" ", "")
    _check_content_type(content_type, channel, field)
    if channel.content_types and _bare(content_type) in LIBSVM and request.input_mode != "File":
        raise InvalidRequest.for_field(
            f"{field}.input_mode",
            _(
                "{value} does not go with {content_type}, which is read twice; use File",
                value=repr(request.input_mode),
                content_type=_bare(content_type),
            ),
        )
    if not uri_objects(uri):
        raise InvalidRequest.for_field(
            f"{field}.uri", _("there is no object at or under {uri}", uri=uri[:200])
        )
    return ResolvedChannel(
        channel=channel.name, uri=uri, content_type=content_type, input_mode=request.input_mode
    )


def uri_objects(uri: str, *, limit: int = 10_000) -> list[str]:
    """The object at `uri`, or those under it, by name."""
    store = object_store()
    if store.size(uri) is not None:
        return [uri]
    found = itertools.islice(store.list(uri), limit)
    return sorted(item.uri for item in found if item.size_bytes > 0)


def _check_content_type(content_type: str, channel: Channel, field: str) -> None:
    bare = _bare(content_type)
    parameter = content_type.removeprefix(bare)
    if content_type in channel.content_types:
        return
    if not channel.content_types:
        if _MEDIA_TYPE.match(content_type):
            return
        message = _("{value} is not a media type; use one such as text/csv", value=repr(content_type[:80]))
        raise InvalidRequest.for_field(f"{field}.content_type", message)
    if bare not in channel.content_types or parameter not in {"", LABEL_FIRST}:
        accepted = ", ".join(channel.content_types)
        raise InvalidRequest.for_field(
            f"{field}.content_type",
            _(
                "{value} is not supported; use {values} (with the label first)",
                value=repr(content_type[:80]),
                values=accepted,
            ),
        )


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _disagreements(channels: Sequence[ResolvedChannel]) -> list[FieldError]:
    """Other channels must have the columns of the first one, train."""
    known = [channel for channel in channels if channel.schema is not None]
    if not known or known[0].channel != "train":
        return []
    return [error for other in known[1:] for error in _disagreement(known[0], other)]


def _disagreement(train: ResolvedChannel, other: ResolvedChannel) -> list[FieldError]:
    assert train.schema is not None and other.schema is not None
    field = f"channels.{other.channel}.dataset"
    if other.schema.n_features != train.schema.n_features:
        return [
            FieldError(
                field,
                _(
                    "dataset {dataset} has {n} feature columns; it must have {wanted} as {train} in channel train has",
                    dataset=other.reference,
                    n=other.schema.n_features,
                    wanted=train.schema.n_features,
                    train=train.reference,
                ),
            )
        ]
    labelled = train.schema.label is not None and other.schema.label is not None
    if labelled and (train.schema.label_mapping is None) != (other.schema.label_mapping is None):
        message = (
            _(
                "the labels of dataset {dataset} are text; "
                "they must be numbers as those of {train} in channel train are",
                dataset=other.reference,
                train=train.reference,
            )
            if train.schema.label_mapping is None
            else _(
                "the labels of dataset {dataset} are numbers; "
                "they must be text as those of {train} in channel train are",
                dataset=other.reference,
                train=train.reference,
            )
        )
        return [FieldError(field, message)]
    return []


def _feature_types(schema: TableSchema) -> tuple[str, ...]:
    return tuple(kind for position, kind in enumerate(schema.types) if position != schema.label)


def _n_classes(version: DatasetVersion, schema: TableSchema) -> int | None:
    if schema.label_mapping is not None:
        return len(schema.label_mapping)
    if schema.label is None or schema.label >= len(version.columns):
        return None
    distinct = version.columns[schema.label].get("distinct")
    return distinct if isinstance(distinct, int) else None
