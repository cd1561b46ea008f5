"""The scores of an evaluation on its page: chart and table by k, confusion matrix and classes at one k."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.http import HttpRequest
from django.utils.translation import gettext as _

from endpoints.models import Evaluation
from endpoints.selectors.evaluation_tables import ERRORS, K_TO, quality_table
from mlplatform.web.charts.confusion import confusion_rows
from mlplatform.web.charts.evaluations import (
    Series,
    by_k_summary,
    metric_title,
    metrics_by_k,
    metrics_of,
)

FEW_KEYS: Final = 6
"""So many k with a confusion matrix are all linked; of more only those that matter."""


def result_of(evaluation: Evaluation) -> dict[str, Any]:
    """What was measured; nothing before it is Completed."""
    return dict(evaluation.result or {})


def facts_of(evaluation: Evaluation) -> dict[str, Any]:
    return dict(evaluation.facts or {})


def own_k(evaluation: Evaluation) -> int | None:
    """The k that pages begin with: the model's own, or the largest that was measured; None without a k axis."""
    ks: Sequence[int] = (result_of(evaluation).get("quality") or {}).get("k") or []
    k = facts_of(evaluation).get("k")
    return (k if k in ks else ks[-1]) if ks else None


def asked_k(request: HttpRequest) -> int | None:
    """The k of the address, whatever digits it is typed with; None where there is none."""
    text = unicodedata.normalize("NFKC", request.GET.get("k", "")).strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else None


def k_context(request: HttpRequest, evaluation: Evaluation) -> dict[str, Any]:
    """Whose k is shown: that of the address, or the model's own where there is none such, with a word about that."""
    ks: Sequence[int] = (result_of(evaluation).get("quality") or {}).get("k") or []
    asked, own = asked_k(request), own_k(evaluation)
    if not ks or asked in ks:
        return {"k": asked if ks else None, "k_last": ks[-1] if ks else None, "k_word": ""}
    word = _(
        "There is nothing for k = %(asked)s, only for k from %(first)s to %(last)s. k = %(shown)s is shown."
    )
    given = request.GET.get("k", "").strip()
    said = {"asked": given[:20], "first": ks[0], "last": ks[-1], "shown": own}
    return {"k": own, "k_last": ks[-1], "k_word": word % said if given else ""}


def quality_context(request: HttpRequest, evaluation: Evaluation) -> dict[str, Any]:
    """What of the scores the address asks for; nothing for an evaluation without labels."""
    quality = result_of(evaluation).get("quality")
    if not quality:
        return {}
    every = metrics_of(quality)
    metric = request.GET.get("metric", "")
    metric = metric if metric in every else ""
    log_k = request.GET.get("scale") == "log"
    ks = quality.get("k")
    intervals = quality.get("intervals") or {}
    shown = k_context(request, evaluation)
    return {
        "quality": quality,
        "metric": metric,
        "metric_choices": [(name, metric_title(name)) for name in every],
        "scale": "log" if log_k else "linear",
        "figure": metrics_by_k(quality, [metric] if metric else every, log_k=log_k) if ks else None,
        "figure_words": by_k_summary([Series("", quality)], metric or every[0]),
        "figure_title": _("%(metric)s by k") % {"metric": metric_title(metric)}
        if metric
        else _("Scores by k"),
        "same_scores": not metric and "f1_micro" in every,
        "n_k": len(ks or ()),
        "chart_height": 380 if len(ks or ()) > 1 else 120 + 40 * (1 if metric else len(every)),
        "has_bounds": any(intervals.get(name) for name in ([metric] if metric else every)),
        "k_last": shown["k_last"],
        "k_word": shown["k_word"],
        **_table_context(request, evaluation, every),
        **_classes_context(evaluation, shown["k"]),
    }


def _table_context(request: HttpRequest, evaluation: Evaluation, every: Sequence[str]) -> dict[str, Any]:
    table = quality_table(evaluation)
    all_k = request.GET.get("ks") == "all"
    width = 3  # the value and its interval
    starts = [1 + width * place for place in range(len(every))]
    flat = {start for start in starts if all(row[start].mark for row in table.rows)}
    firsts = [next((row[0].value for row in table.rows if row[start].mark), None) for start in starts]
    named = {own_k(evaluation), (evaluation.summary or {}).get("k_best"), *firsts}
    later = [row for row in table.rows[K_TO:] if row[0].value in named]
    shown = table.rows if all_k else (*table.rows[:K_TO], *later)
    return {
        "score_rows": [
            (
                row[0].value,
                [(row[start : start + width], row[start].mark and start not in flat) for start in starts],
            )
            for row in shown
        ],
        "score_names": [(name, metric_title(name), name in ERRORS) for name in every],
        "has_best": len(flat) < len(starts),
        "n_score_rows": len(table.rows),
        "all_k": all_k,
    }


def _classes_context(evaluation: Evaluation, k: int | None) -> dict[str, Any]:
    result = result_of(evaluation)
    if result.get("kind") != "classification":
        return {}
    confusions, classes = result.get("confusions") or {}, result.get("classes") or {}
    key = "" if k is None else str(k)
    matrix = confusions.get(key)
    labels = [str(label) for label in result.get("labels") or []]
    return {
        "class_k": key,
        "k_links": _links(confusions or classes, evaluation),
        "n_matrices": len(confusions),
        "confusion": confusion_rows({"labels": labels, "confusion": matrix}) if matrix else None,
        "n_labels": len(labels),
        "classes": classes.get(key) or (_classes(labels, matrix) if matrix else []),
        "has_intervals": key in classes,
    }


def _links(there: Mapping[str, Any], evaluation: Evaluation) -> list[str]:
    """The k to choose from with a click: all if they are few, else 1, the best and the model's own."""
    known = sorted((key for key in there if key.isdecimal()), key=int)
    if len(known) <= FEW_KEYS:
        return known
    best = (evaluation.summary or {}).get("k_best")
    wanted = {"1", str(best), str(own_k(evaluation)), known[-1]}
    return [key for key in known if key in wanted]


def _classes(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> list[dict[str, Any]]:
    """Precision, recall and F1 from a confusion matrix, for a k whose intervals were not computed."""
    said = [sum(column) for column in zip(*matrix, strict=True)]
    found = []
    for place, (label, row) in enumerate(zip(labels, matrix, strict=True)):
        hits, support = row[place], sum(row)
        both = support + said[place]
        found.append(
            {
                "label": label,
                "precision": hits / said[place] if said[place] else 0.0,
                "recall": hits / support if support else 0.0,
                "f1": 2 * hits / both if both else 0.0,
                "support": support,
            }
        )
    return found
