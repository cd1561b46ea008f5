"""Which datasets a model can answer for, said beside each choice of a form. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.utils.translation import gettext as _

from endpoints.models import Model
from jobs.models import Dataset


def datasets_with_reasons(datasets: Iterable[Dataset], models: Iterable[Model]) -> list[tuple[Dataset, str]]:
    """Every dataset with the reason for which none of the models can predict it, or nothing."""
    wanted = {model.manifest.get("n_features") for model in models}
    return [(dataset, _misfit(dataset, wanted)) for dataset in datasets]


def _misfit(dataset: Dataset, wanted: Collection[int | None]) -> str:
    if dataset.latest is None or None in wanted or not wanted:
        return ""
    n_features = dataset.latest.n_columns - (dataset.latest.schema.get("label") is not None)
    if n_features in wanted:
        return ""
    accepted = ", ".join(str(n) for n in sorted(n for n in wanted if n is not None))
    return _("%(given)s features, not %(accepted)s") % {"given": n_features, "accepted": accepted}
