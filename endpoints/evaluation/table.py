"""Sends a whole table through an endpoint: rows in batches, predictions beside labels, scores at the end.

Runs in a process of its own (`python -m endpoints.evaluation`), exec'ed by a worker; needs numpy to read the table
and knows no database. The endpoint is called as any client would call it, through the gateway.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from math import isfinite
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, urlencode

from endpoints.evaluation.classification import ClassificationTally
from endpoints.evaluation.labels import LabelNames
from endpoints.evaluation.regression import RegressionTally
from endpoints.evaluation.spec import TableSpec
from endpoints.unix_http import HttpAnswer, UnixConnection
from mlplatform.core.tabular.read import read_batches
from mlplatform.core.tabular.schema import TableSchema
from mlplatform.core.text import text as _

ROWS_MAX = 500
BODY_MAX_BYTES = 4 * 1024 * 1024
CALL_TIMEOUT_S = 65.0
PATIENCE_S = 30.0
_BUSY = frozenset({429, 503})


class TableFailed(Exception):
    """The endpoint or the data does not allow the run to go on; the message is for the person who asked for it."""


def table_send(spec: TableSpec, progress: Callable[[int], None]) -> dict[str, Any]:
    """Writes a JSON line per row to `spec.result` and returns the summary.

    A line is {"row", "features": [text in the table's order], "label": text or null, "prediction": text,
    "correct": bool or null}; for a regressor "label" and "prediction" are numbers and "error" is their
    difference.

    Args:
        progress: Called with the number of rows done.

    Raises:
        TableFailed, DataError.
    """
    schema = TableSchema.from_dict(spec.schema)
    if spec.n_features is not None and schema.columns and schema.n_features != spec.n_features:
        raise TableFailed(
            _(
                "The dataset has {n} feature columns; the model expects {expected}",
                n=schema.n_features,
                expected=spec.n_features,
            )
        )
    order = _column_order(schema, spec.feature_names)
    sheet = _Sheet(spec, schema)
    with closing(_Gateway(spec)) as gateway, Path(spec.result).open("w", encoding="utf-8") as out:
        for first_row, rows, labels in _portions(Path(spec.data), schema):
            sent = rows if order is None else [[row[position] for position in order] for row in rows]
            sheet.write(out, first_row, rows, labels, gateway.predict(sent, first_row))
            progress(sheet.n_rows)
    return sheet.summary()


def _column_order(schema: TableSchema, wanted: Sequence[str] | None) -> list[int] | None:
    """Where the model's features stand in the table; None when they are in order or go by other names."""
    names = schema.feature_names
    if (
        not wanted
        or list(names) == list(wanted)
        or sorted(names) != sorted(wanted)
        or len(set(names)) < len(names)
    ):
        return None
    return [names.index(name) for name in wanted]


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


class _Gateway:
    """Calls the endpoint and waits a little where it is busy."""

    def __init__(self, spec: TableSpec) -> None:
        path = f"/api/v1/projects/{quote(spec.project)}/endpoints/{quote(spec.endpoint)}/invocations"
        self._target = f"{path}?{urlencode({'variant': spec.variant})}" if spec.variant else path
        self._headers = {
            "Content-Type": "text/csv",
            "Accept": "application/json",
            "X-Mlplatform-Project": spec.project,
        }
        self._connection = UnixConnection(spec.socket, timeout_s=CALL_TIMEOUT_S)

    def close(self) -> None:
        self._connection.close()

    def predict(self, rows: Sequence[Sequence[str]], first_row: int) -> list[float]:
        """One number per row. Raises TableFailed."""
        body = "\n".join(",".join(row) for row in rows).encode()
        answer = self._patient_call(body)
        if answer.status != 200:
            raise TableFailed(_refusal(answer, first_row))
        predictions = [_number(one) for one in json.loads(answer.body)["predictions"]]
        if len(predictions) != len(rows):
            raise TableFailed(
                _(
                    "The endpoint answered {n} predictions for {n_rows} rows",
                    n=len(predictions),
                    n_rows=len(rows),
                )
            )
        return predictions

    def _patient_call(self, body: bytes) -> HttpAnswer:
        deadline = time.monotonic() + PATIENCE_S
        pause_s = 0.1
        while True:
            try:
                answer = self._connection.call("POST", self._target, body=body, headers=self._headers)
                if answer.status not in _BUSY or time.monotonic() > deadline:
                    return answer
            except (OSError, http.client.HTTPException) as error:
                self._connection.close()
                if time.monotonic() > deadline:
                    said = _("The gateway cannot be reached: {error}", error=str(error))
                    raise TableFailed(said) from error
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 2.0)


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


def _number(prediction: Any) -> float:
    """The one number of a prediction, whatever the algorithm calls it."""
    if isinstance(prediction, int | float):
        return float(prediction)
    if isinstance(prediction, dict):
        for name in ("predicted_label", "score"):
            if isinstance(prediction.get(name), int | float):
                return float(prediction[name])
    answer = str(prediction)[:200]
    raise TableFailed(_("The endpoint's answer has no predicted label: {answer}", answer=answer))


def _refusal(answer: HttpAnswer, first_row: int) -> str:
    """The endpoint's words, with the number of the row in the table and not in the request."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = {}
    message = str(said.get("message") or answer.body[:500].decode("utf-8", "replace"))
    row = said.get("row")
    if isinstance(row, int):
        words = message.removeprefix(f"row {row}, ")
        message = _("row {row} of the dataset: {message}", row=first_row + row - 1, message=words)
    return _("The endpoint answered {status}: {message}", status=answer.status, message=message)
