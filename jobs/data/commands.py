"""The commands of a dataset process: JSON in, JSON out. Files are named by path; nothing large goes through a
pipe.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from mlplatform.core.tabular.schema import TableSchema


def _inspect(*, path: str, profile_path: str, **said: Any) -> dict[str, Any]:
    from jobs.algorithms.lean_import import arrow_without_pandas
    from mlplatform.core.tabular.blocks import blocks_small

    arrow_without_pandas()
    blocks_small()
    from jobs.data.inspect import file_inspect, profile_write

    inspected = file_inspect(Path(path), **said)
    profile_write(inspected, Path(profile_path))
    return inspected.summary()


def _relabel(
    *, path: str, profile_path: str, schema: dict[str, Any], n_rows: int, label: str | int | None
) -> dict[str, Any]:
    from jobs.data.inspect import profile_write, table_inspect
    from jobs.data.labels import label_place

    known = TableSchema.from_dict(schema)
    wanted = replace(known, label=label_place(label, known.columns), label_mapping=None)
    inspected = table_inspect(Path(path), wanted, n_rows)
    profile_write(inspected, Path(profile_path))
    return inspected.summary()


def _split(
    *,
    path: str,
    schema: dict[str, Any],
    fractions: dict[str, float],
    folder: str,
    seed: int,
    shuffle: bool,
    stratify: bool,
) -> list[dict[str, Any]]:
    from jobs.data.inspect import profile_write, table_inspect
    from jobs.data.split import file_split

    parts = file_split(
        Path(path),
        TableSchema.from_dict(schema),
        fractions,
        folder=Path(folder),
        seed=seed,
        shuffle=shuffle,
        stratify=stratify,
    )
    answers = []
    for part in parts:
        inspected = table_inspect(part.path, part.schema, part.n_rows)
        profile_path = part.path.with_suffix(".profile.json")
        profile_write(inspected, profile_path)
        answers.append(
            {
                "name": part.name,
                "path": str(part.path),
                "profile_path": str(profile_path),
                **inspected.summary(),
            }
        )
    return answers


def _sample(*, name: str, path: str) -> dict[str, Any]:
    from jobs.data.samples import sample_write

    return {"label": sample_write(name, Path(path))}


def _rows(*, path: str, schema: dict[str, Any], numbers: list[int]) -> list[tuple[int, list[str]]]:
    from jobs.data.rows import rows_read

    return list(rows_read(Path(path), TableSchema.from_dict(schema), numbers).items())


COMMANDS: Final[dict[str, Callable[..., Any]]] = {
    "inspect": _inspect,
    "relabel": _relabel,
    "split": _split,
    "sample": _sample,
    "rows": _rows,
}
