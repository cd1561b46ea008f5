"""Sends a whole table through an endpoint: rows in batches, predictions beside labels, scores at the end.

Runs in a process of its own (`python -m endpoints.evaluation`), exec'ed by a worker; needs numpy to read the table
and knows no database. The endpoint is called as any client would call it, through the gateway.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from math import isfinite
from pathlib import Path
from typing import IO, Any

from endpoints.evaluation.answers import number_of, predictions_of, script_numbers
from endpoints.evaluation.classification import ClassificationTally
from endpoints.evaluation.columns import column_order, columns_check
from endpoints.evaluation.endpoint_client import EndpointClient, refusal
from endpoints.evaluation.failure import RunFailed
from endpoints.evaluation.labels import LabelNames
from endpoints.evaluation.regression import RegressionTally
from endpoints.evaluation.script_answers import accept_find
from endpoints.evaluation.spec import TableSpec
from mlplatform.core.tabular.read import read_batches
from mlplatform.core.tabular.schema import TableSchema

ROWS_MAX = 500
BODY_MAX_BYTES = 4 * 1024 * 1024


def table_send(spec: TableSpec, progress: Callable[[int], None]) -> dict[str, Any]:
    """Writes a JSON line per row to `spec.result` and returns the summary.

    A line is {"row", "features": [text in the table's order], "label": text or null, "prediction": text,
    "correct": bool or null}; for a regressor "label" and "prediction" are numbers and "error" is their
    difference.

    Args:
        progress: Called with the number of rows done.

    Raises:
        RunFailed, DataError.
    """
    schema = TableSchema.from_dict(spec.schema)
    columns_check(schema, spec.n_features)
    order = column_order(schema, spec.feature_names)
    sheet = _Sheet(spec, schema)
    with closing(EndpointClient(spec)) as client, Path(spec.result).open("w", encoding="utf-8") as out:
        for first_row, rows, labels in _portions(Path(spec.data), schema):
            sent = rows if order is None else [[row[position] for position in order] for row in rows]
            if spec.is_script and not sheet.n_rows:
                accept_find(client, _body(sent[:1]), first_row=first_row)
            sheet.write(out, first_row, rows, labels, _predict(client, sent, first_row, spec))
            progress(sheet.n_rows)
    return sheet.summary()


def _portions(path: Path, schema: TableSchema) -> Iterator[tuple[int, list[list[str]], list[float] | None]]:
    """First row number, cells as short texts, labels; small enough for one request."""
    for batch in read_batches(path, schema, batch_rows=ROWS_MAX):
        rows = [[str(cell) for cell in row] for row in batch.X]
        labels = None if batch.y is None else [float(label) for label in batch.y]
        n_bytes = max((sum(map(len, row)) + len(row) for row in rows), default=1)
        step = max(1, min(ROWS_MAX, BODY_MAX_BYTES // max(n_bytes, 1)))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            yield batch.first_row + start, rows[part], labels[part] if labels else None


def _predict(
    client: EndpointClient, rows: Sequence[Sequence[str]], first_row: int, spec: TableSpec
) -> list[float]:
    """One number per row. Raises RunFailed."""
    answer = client.call(_body(rows))
    if answer.status != 200:
        raise RunFailed(refusal(answer, first_row))
    if spec.is_script:
        return script_numbers(answer.body, len(rows), labels=spec.model_labels)
    return [number_of(one) for one in predictions_of(answer.body, len(rows))]


def _body(rows: Sequence[Sequence[str]]) -> bytes:
    return "\n".join(",".join(row) for row in rows).encode()


class _Sheet:
    """The rows as they are written, and their scores."""

    def __init__(self, spec: TableSpec, schema: TableSchema) -> None:
        self.n_rows = 0
        self._is_classifier = spec.is_classifier
        self._predicted = LabelNames(spec.model_labels)
        self._labelled = LabelNames(schema.label_mapping)
        if spec.model_labels and not schema.label_mapping:
            self._labelled = self._predicted  # the table has the codes themselves
        self._classes = ClassificationTally()
        self._values = RegressionTally()

    def write(
        self,
        out: IO[str],
        first_row: int,
        rows: Sequence[Sequence[str]],
        labels: Sequence[float] | None,
        predictions: Sequence[float],
    ) -> None:
        for position, prediction in enumerate(predictions):
            label = labels[position] if labels is not None and isfinite(labels[position]) else None
            line = {"row": first_row + position, "features": list(rows[position])}
            line |= (
                self._classified(label, prediction)
                if self._is_classifier
                else self._valued(label, prediction)
            )
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
        self.n_rows += len(predictions)

    def summary(self) -> dict[str, Any]:
        if self._classes.n_rows:
            found = self._classes.summary()
        elif self._values.n_rows:
            found = self._values.summary()
        else:
            return {"kind": "unlabelled", "n_rows": self.n_rows}
        return found | {"n_unlabelled": self.n_rows - found["n_rows"]}

    def _classified(self, label: float | None, prediction: float) -> dict[str, Any]:
        predicted = self._predicted.name(prediction)
        if label is None:
            return {"label": None, "prediction": predicted, "correct": None}
        labelled = self._labelled.name(label)
        self._classes.add(labelled, predicted)
        return {"label": labelled, "prediction": predicted, "correct": labelled == predicted}

    def _valued(self, label: float | None, prediction: float) -> dict[str, Any]:
        if label is None:
            return {"label": None, "prediction": prediction, "correct": None, "error": None}
        self._values.add(label, prediction)
        return {"label": label, "prediction": prediction, "correct": None, "error": prediction - label}
