"""Datasets, their versions, and the scripts of jobs."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.seeds.covertype import COLUMNS, SCHEMA
from benchmarks.seeds.rows import OF_PROJECT, Rows, as_json, at, made, numbered, owned, uid
from benchmarks.seeds.sizes import Sizes


def seeds(sizes: Sizes) -> Iterator[Rows]:
    n = sizes.datasets
    yield owned(
        "jobs.Dataset",
        n,
        name=numbered("dataset"),
        description="'Cartographic variables, part ' || i",
        updated_at=at(n),
    )
    yield made(
        "jobs.DatasetVersion",
        n * 3 // 2,
        afterwards="UPDATE jobs_dataset SET latest_id = id",
        dataset_id=f"1 + (i - 1) % {n}",
        number=f"1 + (i - 1) / {n}",
        uid=uid("v"),
        uri="'s3://b/datasets/' || i",
        profile_uri="'s3://seeded/profiles/' || i",
        filename="'covtype.csv'",
        content_type="'text/csv'",
        size_bytes="1000000 + i",
        n_rows="581012",
        n_columns="55",
        schema=as_json(SCHEMA),
        columns=as_json(COLUMNS),
        source="'upload'",
    )
    yield made(
        "jobs.Source",
        500,
        project_id=OF_PROJECT,
        uid=uid("s"),
        sha256="md5(i::text)",
        archive_bytes="2000",
        files=as_json([{"path": "train.py", "size_bytes": 2000}]),
    )
