"""What a worker tells the process of a batch transform: one JSON file. Imports nothing heavy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

CSV, JSON, JSON_LINES = "text/csv", "application/json", "application/jsonlines"
MEGABYTE = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class TransformInput:
    """One object: where it lies, what it is called to people, where its lines go, and what it weighs."""

    data: str
    name: str
    result: str
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class TransformSpec:
    """Records of objects through one model server.

    Args:
        schema: Of a dataset, whose rows are then what its file format has; None for objects as they stand.
        socket: The model server's.
        accept: Empty for whichever the model likes best.
        max_payload_bytes: The largest body of a request.
        max_concurrent: Requests in flight.
    """

    inputs: Sequence[TransformInput]
    socket: str
    content_type: str
    accept: str
    split_type: str
    batch_strategy: str
    max_payload_bytes: int
    max_concurrent: int
    input_filter: str
    output_filter: str
    join: str
    schema: dict[str, Any] | None = None

    @property
    def media_type(self) -> str:
        return media_type_of(self.content_type)

    @classmethod
    def read(cls, path: Path) -> Self:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["inputs"] = [TransformInput(**one) for one in found["inputs"]]
        return cls(**found)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), ensure_ascii=False), encoding="utf-8")


def media_type_of(content_type: str) -> str:
    """Without parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()
