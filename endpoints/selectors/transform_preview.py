"""What the filters of a request would do to the first records of its input. Nothing is sent to a model."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass, field
from typing import Final

from endpoints.services.transform_checks import TransformRequest, features_filter
from endpoints.services.transform_inputs import transform_objects
from endpoints.transform.failure import TransformFailed
from endpoints.transform.filters import FilterError
from endpoints.transform.forms import RecordForm
from endpoints.transform.preview import PreviewRow, preview_rows
from endpoints.transform.records import Record, csv_rows, lines
from endpoints.transform.spec import CSV, TransformSpec, media_type_of
from jobs.models import DatasetVersion
from jobs.selectors.dataset_rows import dataset_rows
from jobs.selectors.datasets import dataset_version_get
from mlplatform.core.errors import DataError, InvalidRequest, NotFound, PlatformError
from mlplatform.core.names import uri_split
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from mlplatform.core.tabular.schema import TableSchema
from mlplatform.core.text import text as _

ROWS: Final = 5
_HEAD_BYTES: Final = 256 * 1024
_GZIP: Final = b"\x1f\x8b"


@dataclass(frozen=True)
class TransformPreview:
    """The first records; `header` is the line of names, where the result has one. `error` where there is nothing to
    show, and why. `features_filter` leaves the label of the dataset out; empty where it has none.
    """

    rows: list[PreviewRow] = field(default_factory=list)
    header: str = ""
    error: str = ""
    features_filter: str = ""


def transform_preview(*, actor: Actor, request: TransformRequest) -> TransformPreview:
    """Raises nothing that a form cannot show: a fault of the request is `error`."""
    try:
        return _preview(actor, request)
    except FilterError as error:
        return TransformPreview(error=error.message)
    except (DataError, TransformFailed) as error:
        return TransformPreview(error=str(error))
    except InvalidRequest as error:
        return TransformPreview(error="; ".join(one.message for one in error.errors) or error.message)
    except PlatformError as error:
        return TransformPreview(error=error.message)


def _preview(actor: Actor, request: TransformRequest) -> TransformPreview:
    version = dataset_version_get(actor=actor, reference=request.dataset) if request.dataset else None
    if version is None and not request.uri:
        return TransformPreview()
    if request.split_type == "None":
        return TransformPreview(error=_("Each object is sent as it is, whole."))
    leaves_out = ""
    if version is not None and version.schema.get("label") is not None:
        leaves_out = features_filter(TableSchema.from_dict(version.schema))
    form = RecordForm.of(_spec(request, version))
    records = _of_dataset(version) if version is not None else _of_objects(actor, request)
    header = form.header("").decode("utf-8", "replace") if form.has_header else ""
    return TransformPreview(preview_rows(form, records), header, features_filter=leaves_out)


def _spec(request: TransformRequest, version: DatasetVersion | None) -> TransformSpec:
    return TransformSpec(
        inputs=[],
        socket="",
        content_type=request.content_type or CSV,
        accept=request.accept,
        split_type=request.split_type,
        batch_strategy=request.batch_strategy,
        max_payload_bytes=_HEAD_BYTES,
        max_concurrent=1,
        input_filter=request.input_filter,
        output_filter=request.output_filter,
        join=request.join,
        schema=version.schema if version is not None else None,
    )


def _of_dataset(version: DatasetVersion) -> list[Record]:
    rows = dataset_rows(version=version, numbers=range(1, ROWS + 1))
    return [rows[number] for number in sorted(rows)]


def _of_objects(actor: Actor, request: TransformRequest) -> list[Record]:
    uri = request.uri or ""
    if uri_split(uri)[0] != actor.project.bucket:
        raise NotFound(_("There is no object at or under {uri}", uri=uri[:200]))
    objects = transform_objects(uri=uri)
    if not objects:
        raise NotFound(_("There is no object at or under {uri}", uri=uri[:200]))
    head = object_store().piece(objects[0].uri, offset=0, size_bytes=_HEAD_BYTES)
    if head.startswith(_GZIP):
        raise InvalidRequest.for_field("uri", _("A compressed object is not shown here."))
    if len(head) < objects[0].size_bytes:
        head = head[: head.rfind(b"\n") + 1]
    stream = io.BytesIO(head)
    is_csv = media_type_of(request.content_type or CSV) == CSV
    found = csv_rows(stream) if is_csv else lines(stream, _HEAD_BYTES)
    return list(itertools.islice(found, ROWS))
