"""Sending a table, against a small stand-in for the gateway that predicts the sum of a row."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from endpoints.evaluation import endpoint_client, table
from endpoints.evaluation.failure import RunFailed
from endpoints.evaluation.spec import TableSpec
from endpoints.evaluation.table import table_send
from mlplatform.core.tabular.schema import TableSchema

SCHEMA = TableSchema(
    format="csv", columns=("a", "b", "y"), types=("fractional", "fractional", "fractional"), label=2
)


class SumServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers each request with the sums of its rows, or with what `answers` has next, as soon as `gate` is open; with
    `hang_up` not at all.
    """

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), SumHandler)
        self.answers: list[tuple[int, dict[str, Any]]] = []
        self.bodies: list[str] = []
        self.targets: list[str] = []
        self.authorizations: list[str | None] = []
        self.gate = threading.Event()
        self.gate.set()
        self.hang_up = False


class SumHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SumServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.bodies.append(body)
        self.server.targets.append(self.path)
        self.server.authorizations.append(self.headers["Authorization"])
        self.server.gate.wait(30)
        if self.server.hang_up:
            self.close_connection = True
            return
        sums = [sum(map(float, line.split(","))) for line in body.splitlines()]
        status, content = 200, {"predictions": [{"predicted_label": value} for value in sums]}
        if self.server.answers:
            status, content = self.server.answers.pop(0)
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: Any) -> None:
        return


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SumServer]:
    with SumServer(tmp_path / "g.sock") as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def _spec(tmp_path: Path, text: str, **more: Any) -> TableSpec:
    (tmp_path / "data.csv").write_text(text)
    given: dict[str, Any] = {
        "data": str(tmp_path / "data.csv"),
        "schema": SCHEMA.to_dict(),
        "socket": str(tmp_path / "g.sock"),
        "token": "claim.signature",
        "project": "flowers",
        "endpoint": "sums",
        "variant": "",
        "is_classifier": False,
        "model_labels": None,
        "n_features": 2,
        "feature_names": None,
        "result": str(tmp_path / "rows.jsonl"),
    }
    return TableSpec(**given | more)


def _rows(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]


def _ignore(n_done: int) -> None:
    return


def test_a_regressor_s_rows_have_numbers_and_errors(tmp_path: Path, server: SumServer) -> None:
    spec = _spec(tmp_path, "a,b,y\n1,2,3\n1,2,5\n0.5,0.25,0\n", variant="B 1")
    summary = table_send(spec, _ignore)
    assert summary["kind"] == "regression"
    assert summary["mae"] == pytest.approx((0 + 2 + 0.75) / 3)
    assert [row["prediction"] for row in _rows(tmp_path)] == [3.0, 3.0, 0.75]
    assert [row["error"] for row in _rows(tmp_path)] == [0.0, -2.0, 0.75]
    assert _rows(tmp_path)[2]["features"] == ["0.5", "0.25"]
    assert server.targets == ["/api/v1/projects/flowers/endpoints/sums/invocations?variant=B+1"]
    assert server.authorizations == ["Run claim.signature"]


def test_progress_grows_to_the_number_of_rows(tmp_path: Path, server: SumServer) -> None:
    seen: list[int] = []
    text = "a,b,y\n" + "1,2,3\n" * (2 * table.ROWS_MAX + 7)
    assert table_send(_spec(tmp_path, text), seen.append)["n_rows"] == 2 * table.ROWS_MAX + 7
    assert seen == [table.ROWS_MAX, 2 * table.ROWS_MAX, 2 * table.ROWS_MAX + 7]


def test_rows_without_a_label_are_predicted_and_not_scored(tmp_path: Path, server: SumServer) -> None:
    summary = table_send(_spec(tmp_path, "a,b,y\n1,2,3\n4,5,\n"), _ignore)
    assert (summary["n_rows"], summary["n_unlabelled"]) == (1, 1)
    assert _rows(tmp_path)[1]["label"] is None


def test_a_busy_endpoint_is_asked_again(tmp_path: Path, server: SumServer) -> None:
    server.answers = [(429, {"message": "too many"}), (503, {"message": "no replica"})]
    assert table_send(_spec(tmp_path, "a,b,y\n1,2,3\n"), _ignore)["rmse"] == 0.0
    assert len(server.bodies) == 3


def test_the_endpoint_s_refusal_is_told_with_the_row_of_the_dataset(
    tmp_path: Path, server: SumServer
) -> None:
    sums = {"predictions": [{"predicted_label": 3.0}] * table.ROWS_MAX}
    server.answers = [(200, sums), (400, {"message": "row 2, column '0': is NaN", "row": 2, "column": "0"})]
    with pytest.raises(RunFailed, match=rf"400: row {table.ROWS_MAX + 2} of the dataset: column '0': is NaN"):
        table_send(_spec(tmp_path, "a,b,y\n" + "1,2,3\n" * (table.ROWS_MAX + 5)), _ignore)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"predictions": []}, "0 predictions for 1 rows"),
        ({"predictions": [{"cluster": "a"}]}, "no predicted label"),
    ],
)
def test_an_answer_of_another_kind_is_refused(
    tmp_path: Path, server: SumServer, content: dict[str, Any], message: str
) -> None:
    server.answers = [(200, content)]
    with pytest.raises(RunFailed, match=message):
        table_send(_spec(tmp_path, "a,b,y\n1,2,3\n"), _ignore)


def test_a_gateway_that_is_not_there_is_told_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint_client, "PATIENCE_S", 0.3)
    with pytest.raises(RunFailed, match="gateway cannot be reached"):
        table_send(_spec(tmp_path, "a,b,y\n1,2,3\n"), _ignore)


def test_a_model_score_counts_as_its_prediction(tmp_path: Path, server: SumServer) -> None:
    server.answers = [(200, {"predictions": [{"score": 7.5}]})]
    table_send(_spec(tmp_path, "a,b,y\n1,2,3\n"), _ignore)
    assert _rows(tmp_path)[0]["prediction"] == 7.5
