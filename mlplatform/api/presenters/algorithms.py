"""An algorithm's declaration as JSON, its sentences in the caller's language."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from jobs.algorithms.base import AlgorithmSpec


def algorithm_json(spec: AlgorithmSpec) -> dict[str, Any]:
    described = spec.describe()
    described["title"], described["summary"] = _(spec.title), _(spec.summary)
    for part in ("hyperparameters", "channels", "metrics"):
        for item in described[part]:
            # gettext("") is the header of the catalogue.
            item["help"] = _(item["help"]) if item["help"] else ""
    return described
