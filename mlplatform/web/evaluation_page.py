"""What the page of one evaluation shows: how far it is, then scores, latencies, rows. Called by its view."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from endpoints.evaluation.predictions import RowsFound
from endpoints.models import Evaluation
from endpoints.selectors.evaluation_tables import latency_measures
from endpoints.selectors.evaluations import (
    evaluation_repeat_request,
    evaluation_rows,
    evaluation_waiting_reason,
)
from endpoints.services.neighbours import ALGORITHM
from jobs.runner.said import said_read, said_text
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.people.access import Actor
from mlplatform.core.translation import translated
from mlplatform.web.charts.latency import batch_line, single_histogram
from mlplatform.web.evaluation_quality import facts_of, k_context, own_k, quality_context, result_of
from mlplatform.web.forms.evaluations import EvaluationForm

TABS: Final = ("overview", "rows", "api")
ROWS_PER_PAGE: Final = 100


@dataclass(frozen=True)
class Stage:
    """A part of the measurement; `tone` is that of a status."""

    title: str
    tone: str
    done: int | None = None
    total: int | None = None


def detail_context(request: HttpRequest, actor: Actor, evaluation: Evaluation) -> dict[str, Any]:
    """The context of the page and of its poll, in which `changed` says whether more than the progress is new."""
    tab = request.GET.get("tab", "overview")
    tab = tab if tab in TABS else "overview"
    seen = hashlib.sha256(repr((evaluation.status, evaluation.attempt)).encode()).hexdigest()[:12]
    result = result_of(evaluation)
    context = {
        "evaluation": evaluation,
        "tab": tab,
        "seen": seen,
        "changed": seen != request.GET.get("seen"),
        "progress": evaluation.progress or {},
        "stages": _stages(evaluation.progress or {}),
        "waiting_reason": translated(evaluation_waiting_reason(evaluation=evaluation) or ""),
        "summary": evaluation.summary or {},
        "own_k": own_k(evaluation),
        "warnings": [translated(said_text(warning)) for warning in result.get("warnings") or []],
        "has_result": bool(result),
        "engine_reason": _engine_reason(evaluation),
        "inspector": _inspector(evaluation),
    }
    if result and tab == "overview":
        context |= quality_context(request, evaluation) | _latency_context(evaluation)
    if result and tab == "rows":
        context |= _rows_context(request, evaluation)
    if tab == "api":
        context |= _api_context(request, actor, evaluation)
    return context


def _stages(progress: Mapping[str, Any]) -> list[Stage]:
    titles = {
        "quality": _("Test data in batches"),
        "latency": _("One row at a time"),
        "statistics": _("Scores and intervals"),
    }
    order = list(titles)
    now = order.index(progress["stage"]) if progress.get("stage") in order else -1
    found = []
    for place, name in enumerate(order):
        tone = "good" if place < now else "active" if place == now else "waiting"
        counted = (progress.get("done"), progress.get("total")) if place == now else (None, None)
        found.append(Stage(titles[name], tone, *counted))
    return found


def _engine_reason(evaluation: Evaluation) -> str:
    """Why neighbours are found the way they are, in the reader's language where the model kept it so."""
    engine = facts_of(evaluation).get("engine") or {}
    return translated(said_read(engine.get("said"), message=str(engine.get("reason") or "")))


def _inspector(evaluation: Evaluation) -> str:
    """Where the neighbours of a row can be looked at, to be followed by the row's number; empty where they cannot."""
    is_knn = facts_of(evaluation).get("algorithm") == ALGORITHM
    if not is_knn or evaluation.endpoint is None or evaluation.dataset_version is None:
        return ""
    address = reverse(
        "web:endpoint-neighbours",
        kwargs={"project": evaluation.project.name, "name": evaluation.endpoint.name},
    )
    variant = f"&variant={evaluation.variant}" if evaluation.variant else ""
    return f"{address}?dataset={evaluation.dataset_reference}{variant}"


def _latency_context(evaluation: Evaluation) -> dict[str, Any]:
    latency = result_of(evaluation).get("latency") or {}
    histogram = latency.get("single_histogram") or {}
    n_timed = latency.get("n_batches") or 0
    asked = min(evaluation.batches, (evaluation.summary or {}).get("n_rows") or 0)
    return {
        "latency": latency,
        "n_timed": n_timed,
        "n_sent": latency.get("n_batches_sent") or max(n_timed, asked),
        "latency_rows": _latency_rows(evaluation),
        "single_figure": single_histogram(latency) if histogram.get("counts") else None,
        "batch_figure": batch_line(latency) if latency.get("batch_ms") else None,
    }


def _latency_rows(evaluation: Evaluation) -> list[tuple[str, dict[str, Any]]]:
    """The measures in words: what was sent and which of its statistics, with its row of the table."""
    titles = {
        "mean_ms": _("mean"),
        "p50_ms": "p50",
        "p90_ms": "p90",
        "p99_ms": "p99",
    }
    kinds = {"batch": _("Batch"), "single": _("One row")}
    found = []
    for record in latency_measures(evaluation).records():
        kind, _underscore, statistic = str(record["measure"]).partition("_")
        title = f"{kinds.get(kind, kind)} · {titles.get(statistic, statistic)}"
        found.append((title, dict(record)))
    return found


def _rows_context(request: HttpRequest, evaluation: Evaluation) -> dict[str, Any]:
    """The rows that the address asks for; none, and why, where it has a label that there is not."""
    offset = int(request.GET["offset"]) if _is_number(request.GET.get("offset", "")) else 0
    result = result_of(evaluation)
    shown = k_context(request, evaluation)
    label, prediction = request.GET.get("label", ""), request.GET.get("prediction", "")
    only_wrong = request.GET.get("wrong") == "1"
    refused: list[str] = []
    try:
        found = evaluation_rows(
            evaluation=evaluation,
            k=shown["k"],
            label=label or None,
            prediction=prediction or None,
            only_wrong=only_wrong,
            offset=offset,
            limit=ROWS_PER_PAGE,
        )
    except InvalidRequest as error:
        found, refused = RowsFound([], 0), [translated(one.message) for one in error.errors]
    return {
        **shown,
        "refused": refused,
        "rows": found.rows,
        "n_found": found.n_found,
        "labels": result.get("labels") or [],
        "label": label,
        "prediction": prediction,
        "only_wrong": only_wrong,
        "kind": result.get("kind"),
        "first_shown": offset + 1,
        "last_shown": offset + len(found.rows),
        "previous": max(0, offset - ROWS_PER_PAGE) if offset else None,
        "following": offset + ROWS_PER_PAGE if offset + len(found.rows) < found.n_found else None,
    }


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 12


def _api_context(request: HttpRequest, actor: Actor, evaluation: Evaluation) -> dict[str, Any]:
    base_url = request.build_absolute_uri("/").rstrip("/")
    project = actor.project.name
    address = f"{base_url}/api/v1/projects/{project}/evaluations/{evaluation.name}/"
    form = EvaluationForm.from_request(evaluation_repeat_request(actor=actor, name=evaluation.name))

    def get(path: str) -> str:
        return f"curl '{address}{path}' \\\n  -H \"Authorization: Bearer $TOKEN\""

    return {
        "calls": [
            (_("Its results"), get("")),
            (_("Scores by k as CSV"), get("tables/accuracy/?as=csv")),
            (_("Rows that are wrong"), get("rows/?wrong=true&limit=100")),
            (_("Measure the same again"), form.api_call(base_url=base_url, project=project)),
        ]
    }
