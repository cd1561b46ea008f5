"""What a worker tells the process of a table run or an evaluation: one JSON file. Imports nothing heavy."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """What every kind of run needs: a table, an endpoint, and what its model expects.

    Args:
        data: The table's file; `schema` says how to read it.
        socket: The gateway's socket for runs.
        token: Lets this run call this endpoint there.
        variant: Empty for whichever the gateway chooses.
        model_labels: Text → code, where the model was trained with text labels.
        result: The file that the run writes.
        is_script: A user's script answers: its answers may be of more kinds, and have no neighbours.
    """

    kind: ClassVar[str]

    data: str
    schema: dict[str, Any]
    socket: str
    token: str = field(default="", repr=False)
    project: str
    endpoint: str
    variant: str
    is_classifier: bool
    model_labels: dict[str, int] | None
    n_features: int | None
    feature_names: list[str] | None
    result: str
    is_script: bool = False

    @classmethod
    def read(cls, path: Path) -> Self:
        found = json.loads(path.read_text(encoding="utf-8"))
        found.pop("kind", None)
        return cls(**found)

    def write(self, path: Path) -> None:
        content = {"kind": self.kind, **vars(self)}
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class TableSpec(RunSpec):
    """A whole table through an endpoint; `result` gets a JSON line per row."""

    kind = "table"


@dataclass(frozen=True, kw_only=True)
class EvaluationSpec(RunSpec):
    """How good and how fast an endpoint answers for a table; `result` gets the predictions for every k.

    Args:
        k_max: The largest k to score; None for as many neighbours as the endpoint answers.
        batches: Into how many requests the table is cut.
        single_requests: Calls with one row each.
    """

    kind = "evaluation"

    k_max: int | None = None
    batches: int = 100
    single_requests: int = 2000


def spec_read(path: Path) -> TableSpec | EvaluationSpec:
    """The spec in a file, of the kind that it names."""
    kind = json.loads(path.read_text(encoding="utf-8")).get("kind")
    return EvaluationSpec.read(path) if kind == EvaluationSpec.kind else TableSpec.read(path)
