"""One evaluation: the table in batches for the quality, then row by row for the latency, then the scores.

Runs in a process of its own (`python -m endpoints.evaluation`), exec'ed by a worker; knows no database. The endpoint is
called as any client would call it, through the gateway.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from endpoints.evaluation.answers import Answered, answer_read, script_answer_read
from endpoints.evaluation.calls import BatchCalls, SingleRow, single_call, single_calls
from endpoints.evaluation.class_scores import classes_score
from endpoints.evaluation.collected import Axis, Collected, CollectedClasses, CollectedValues
from endpoints.evaluation.endpoint_client import NOT_ACCEPTABLE, VERBOSE, EndpointClient, refusal
from endpoints.evaluation.failure import RunFailed
from endpoints.evaluation.label_checks import answered_labels_check, known_labels_check, values_check
from endpoints.evaluation.label_codes import LabelCodes
from endpoints.evaluation.labels import LabelNames
from endpoints.evaluation.latency import latency_summary
from endpoints.evaluation.predictions import predictions_write
from endpoints.evaluation.progress import Progress
from endpoints.evaluation.remarks import how_scored, how_sent
from endpoints.evaluation.scored import Scored
from endpoints.evaluation.script_answers import accept_find
from endpoints.evaluation.spec import EvaluationSpec
from endpoints.evaluation.test_set import Portion, TestSet, body_of
from endpoints.evaluation.value_scores import values_score
from mlplatform.core.text import text as _
from mlplatform.core.text import to_json

_IN_SUMMARY = (
    "batch_size",
    "batch_mean_ms",
    "single_mean_ms",
    "single_p50_ms",
    "single_p90_ms",
    "single_p99_ms",
    "rows_per_s",
)


def evaluate(spec: EvaluationSpec, say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """{"summary", "result"} as docs/formats.md has them; writes predictions.bin to `spec.result` where there are
    labels.

    Args:
        say: Called with the progress, at most about twice a second.

    Raises:
        RunFailed, DataError.
        OSError: The folder of `spec.result` takes nothing.
    """
    test_set = TestSet(spec)
    with closing(EndpointClient(spec)) as client:
        return _Evaluation(spec, test_set, client, say).run()


class _Evaluation:
    def __init__(
        self,
        spec: EvaluationSpec,
        test_set: TestSet,
        client: EndpointClient,
        say: Callable[[dict[str, Any]], None],
    ) -> None:
        self._spec = spec
        self._test_set = test_set
        self._client = client
        self._n_batches = len(test_set.batch_sizes(spec.batches))
        self._single_rows = test_set.single_rows(spec.single_requests)
        self._singles: list[SingleRow] = []
        self._collected: Collected | None = None
        self._warnings: list[str] = []
        self._progress = Progress(
            say, n_rows=test_set.n_rows, n_batches=self._n_batches, n_single=spec.single_requests
        )

    def run(self) -> dict[str, Any]:
        n_neighbours = self._n_neighbours()
        self._collected = self._collector(self._axis(n_neighbours))
        batches = self._send_batches(n_neighbours)
        if isinstance(self._collected, CollectedClasses) and not self._spec.model_labels:
            self._warn(answered_labels_check(self._collected))
        single_s = self._send_singles()
        self._progress.begin("statistics")
        latency = latency_summary(
            batch_s=[each.seconds for each in batches.counted],
            batch_rows=[each.n_rows for each in batches.counted],
            batch_numbers=[each.number for each in batches.counted],
            n_sent=len(batches.sizes),
            single_s=single_s,
        )
        scored = _scored(self._collected)
        if scored is not None:
            predictions_write(Path(self._spec.result), scored.header, scored.labels, scored.planes)
        self._warnings += how_sent(self._test_set, self._spec, batches, self._client.n_repeated)
        self._warnings += how_scored(self._collected, n_neighbours)
        return self._outcome(scored, latency)

    # ---- before

    def _n_neighbours(self) -> int:
        """How many the endpoint answers for the first row, 0 for none; the calls for that also warm it up."""
        portion = self._test_set.first()
        if self._spec.is_script:
            accept_find(self._client, portion.body, first_row=portion.first_row)
            self._progress.single_takes(single_call(self._client, SingleRow(portion.first_row, portion.body)))
            return 0
        answer = self._client.call(portion.body, accept=VERBOSE)
        found = 0
        if answer.status == 200:
            neighbours = answer_read(answer.body, 1).neighbours
            found = 0 if neighbours is None else neighbours.shape[1]
        elif answer.status != NOT_ACCEPTABLE:
            raise RunFailed(refusal(answer, portion.first_row))
        self._progress.single_takes(single_call(self._client, SingleRow(portion.first_row, portion.body)))
        return found

    def _axis(self, n_neighbours: int) -> Axis | None:
        k_max = self._spec.k_max
        if not n_neighbours:
            if k_max is not None:
                self._warn(
                    _("The endpoint answers no neighbours: there are no scores by k, whatever k_max is")
                )
            return None
        if k_max is not None and k_max > n_neighbours:
            raise RunFailed(
                _(
                    "k_max: {k_max} is more than the {n} neighbours that the endpoint answers; use at most {n_most}",
                    k_max=k_max,
                    n=n_neighbours,
                    n_most=n_neighbours,
                )
            )
        return Axis(k_max or n_neighbours, n_neighbours)

    def _collector(self, axis: Axis | None) -> Collected | None:
        """What takes the answers in; None for a table without labels."""
        spec, schema, labels = self._spec, self._test_set.schema, self._test_set.labels
        folder = Path(spec.result).parent
        if labels is None:
            return None
        if not spec.is_classifier:
            values_check(schema, spec.model_labels)
            return CollectedValues(labels, axis, folder)
        predicted, labelled = LabelNames(spec.model_labels), LabelNames(schema.label_mapping)
        if spec.model_labels and not schema.label_mapping:
            labelled = predicted  # the table has the codes themselves
        codes = LabelCodes(labelled, predicted)
        collected = CollectedClasses(codes.labelled(labels), codes, axis, folder)
        if spec.model_labels:
            self._warn(known_labels_check(collected.labels, codes.names, spec.model_labels))
        return collected

    # ---- calls

    def _send_batches(self, n_neighbours: int) -> BatchCalls:
        calls = BatchCalls(
            self._client, accept=VERBOSE if n_neighbours else self._client.plain, take=self._take
        )
        self._progress.begin("quality")
        portions = self._test_set.portions(self._n_batches, n_neighbours=n_neighbours)
        calls.send(portions, lambda batch: self._progress.done("quality", batch))
        return calls

    def _take(self, portion: Portion, body: bytes) -> None:
        first = portion.first_row - 1
        answered = self._read(body, len(portion.X))
        if self._collected is not None:
            self._collected.add(first, answered)
        for row in self._single_rows[bisect_left(self._single_rows, first) :]:
            if row >= first + len(portion.X):
                break
            self._singles.append(SingleRow(row + 1, body_of(portion.X[row - first : row - first + 1])))

    def _read(self, body: bytes, n_rows: int) -> Answered:
        if self._spec.is_script:
            return script_answer_read(body, n_rows, labels=self._spec.model_labels)
        return answer_read(body, n_rows)

    def _send_singles(self) -> list[float]:
        self._progress.begin("latency")
        n = self._spec.single_requests
        return single_calls(
            self._client, self._singles, n, lambda position: self._progress.done("latency", position)
        )

    # ---- after

    def _warn(self, said: str) -> None:
        if said:
            self._warnings.append(said)

    def _outcome(self, scored: Scored | None, latency: dict[str, Any]) -> dict[str, Any]:
        summary = _UNLABELLED | {"n_rows": self._test_set.n_rows} if scored is None else scored.summary
        result = {"kind": "unlabelled", "quality": None} if scored is None else scored.result
        return {
            "summary": summary | {name: latency[name] for name in _IN_SUMMARY},
            "result": result | {"latency": latency, "warnings": [to_json(said) for said in self._warnings]},
        }


_UNLABELLED: dict[str, Any] = {
    "kind": "unlabelled",
    "n_rows": 0,
    "has_k": False,
    "k_best": None,
    "metric": None,
    "best": None,
    "best_interval": None,
    "k": None,
    "value": None,
    "value_interval": None,
}


def _scored(collected: Collected | None) -> Scored | None:
    if isinstance(collected, CollectedClasses):
        return classes_score(collected)
    return values_score(collected) if isinstance(collected, CollectedValues) else None
