"""What parameters and metrics of runs are called on pages, with their units."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.comparison.axes import METRIC

PARAMETERS: Final = {
    "algorithm": gettext_lazy("Algorithm"),
    "framework": gettext_lazy("Framework"),
    "entry_point": gettext_lazy("Entry point"),
    "instance_type": gettext_lazy("Instance type"),
    "instance_count": gettext_lazy("Instance count"),
    "predictor_type": gettext_lazy("Predictor type"),
    "index_type": gettext_lazy("Index type"),
    "sample_size": gettext_lazy("Sample size"),
    "engine": gettext_lazy("Search engine"),
    "vcpus": gettext_lazy("vCPUs"),
    "price_per_hour": gettext_lazy("Price per hour"),
    "currency": gettext_lazy("Currency"),
    "dataset": gettext_lazy("Dataset"),
    "n_features": gettext_lazy("Features"),
    "n_rows": gettext_lazy("Rows"),
    "variant": gettext_lazy("Variant"),
    "k_max": gettext_lazy("Largest k"),
    "batches": gettext_lazy("Batches"),
    "batch_size": gettext_lazy("Rows in a batch"),
    "single_requests": gettext_lazy("Single requests"),
}
METRICS: Final = {
    "accuracy": gettext_lazy("Accuracy"),
    "best_accuracy": gettext_lazy("Accuracy at the best k"),
    "f1_weighted": gettext_lazy("F1 (weighted)"),
    "f1_macro": gettext_lazy("F1 (macro)"),
    "f1_micro": gettext_lazy("F1 (micro)"),
    "rmse": "RMSE",
    "best_rmse": gettext_lazy("RMSE at the best k"),
    "mae": "MAE",
    "k_best": gettext_lazy("Best k"),
    "batch_mean_ms": gettext_lazy("Batch, mean (ms)"),
    "single_mean_ms": gettext_lazy("One row, mean (ms)"),
    "single_p50_ms": gettext_lazy("One row, p50 (ms)"),
    "single_p90_ms": gettext_lazy("One row, p90 (ms)"),
    "single_p99_ms": gettext_lazy("One row, p99 (ms)"),
    "rows_per_s": gettext_lazy("Rows per second"),
    "duration_s": gettext_lazy("Duration (s)"),
    "billable_s": gettext_lazy("Billable time (s)"),
}
_PREFIXES: Final = {
    "hyperparameters.": "",
    "channels.": gettext_lazy("channel"),
    "environment.": gettext_lazy("environment"),
}


def parameter_title(name: str) -> str:
    """A hyperparameter by its own name; a channel or variable with what it is before it."""
    for prefix, word in _PREFIXES.items():
        if name.startswith(prefix):
            return f"{word} {name.removeprefix(prefix)}".strip()
    return str(PARAMETERS.get(name, name))


def metric_title(name: str) -> str:
    return str(METRICS.get(name, name))


def axis_title(key: str) -> str:
    """Of an axis, a column or a chart: a parameter's or a metric's."""
    if key.startswith(METRIC):
        return metric_title(key.removeprefix(METRIC))
    return {"name": _("Name"), "created": _("Created")}.get(key) or parameter_title(key)
