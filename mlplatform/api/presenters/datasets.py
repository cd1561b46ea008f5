"""Datasets and their versions as JSON."""

from __future__ import annotations

from typing import Any

from jobs.models import Dataset, DatasetVersion
from jobs.selectors.datasets import Preview
from mlplatform.api.presenters.instants import instant
from mlplatform.core.translation import translated

_COLUMN_FIELDS = ("name", "type", "missing", "min", "max", "mean", "std", "distinct", "distinct_exceeded")


def dataset_summary_json(dataset: Dataset) -> dict[str, Any]:
    latest = _latest(dataset)
    return {
        "name": dataset.name,
        "description": dataset.description,
        "version": latest.number,
        "rows": latest.n_rows,
        "bytes": latest.size_bytes,
        "n_columns": latest.n_columns,
        "label_column": latest.label_name,
        "format": latest.schema["format"],
        "created_by": dataset.created_by.get_username(),
        "created_at": instant(dataset.created_at),
        "updated_at": instant(dataset.updated_at),
    }


def dataset_json(dataset: Dataset) -> dict[str, Any]:
    latest = _latest(dataset)
    return dataset_summary_json(dataset) | {
        "digest": latest.sha256,
        "uri": latest.uri,
        "tags": dataset.tags,
        "label_mapping": latest.schema.get("label_mapping"),
        "warnings": [translated(warning) for warning in latest.warnings],
        "columns": [{name: column.get(name) for name in _COLUMN_FIELDS} for column in latest.columns],
    }


def version_json(version: DatasetVersion) -> dict[str, Any]:
    schema = version.schema
    return {
        "version": version.number,
        "rows": version.n_rows,
        "bytes": version.size_bytes,
        "digest": version.sha256,
        "uri": version.uri,
        "filename": version.filename,
        "content_type": version.content_type,
        "format": schema["format"],
        "encoding": schema["encoding"],
        "delimiter": schema["delimiter"],
        "header": schema["header"],
        "label_column": version.label_name,
        "label_mapping": schema.get("label_mapping"),
        "source": version.source,
        "source_detail": version.source_detail,
        "parent": str(version.parent) if version.parent else None,
        "warnings": [translated(warning) for warning in version.warnings],
        "created_by": version.created_by.get_username(),
        "created_at": instant(version.created_at),
    }


def preview_json(preview: Preview) -> dict[str, Any]:
    return {
        "columns": preview.columns,
        "types": preview.types,
        "rows": preview.rows,
        "n_rows": preview.n_rows,
    }


def _latest(dataset: Dataset) -> DatasetVersion:
    """A dataset and its first version are made together, so there is one."""
    assert dataset.latest is not None
    return dataset.latest
