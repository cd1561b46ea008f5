"""What a worker tells the process of a table run: one JSON file. Imports nothing heavy."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class TableSpec:
    """What a worker tells the process: one JSON file."""

    data: str
    schema: dict[str, Any]
    socket: str
    project: str
    endpoint: str
    variant: str
    is_classifier: bool
    model_labels: dict[str, int] | None
    n_features: int | None
    feature_names: list[str] | None
    result: str

    @classmethod
    def read(cls, path: Path) -> TableSpec:
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(vars(self), ensure_ascii=False), encoding="utf-8")
