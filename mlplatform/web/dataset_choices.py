"""Datasets to train and to test with, as a form lists them, each with the reason for which it does not fit. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from jobs.models import Dataset
from mlplatform.web.templatetags.figures import count


@dataclass(frozen=True)
class Choice:
    """A dataset in a list, with the reason for which it does not fit."""

    name: str
    size: str
    misfit: str

    def __str__(self) -> str:
        return f"{self.name} ({self.size}){f' – {self.misfit}' if self.misfit else ''}"


def train_choices(datasets: Sequence[Dataset], chosen: str) -> list[Choice]:
    return _with_chosen([_choice(one, _without_label(one)) for one in datasets], chosen)


def test_choices(datasets: Sequence[Dataset], *, train: str, chosen: str) -> list[Choice]:
    with_train = next((one for one in datasets if one.name == train), None)
    wanted = _n_features(with_train) if with_train else None
    return _with_chosen([_choice(one, _misfit(one, wanted)) for one in datasets], chosen)


def _choice(dataset: Dataset, misfit: str) -> Choice:
    latest = dataset.latest
    size = f"{count(latest.n_rows)} × {latest.n_columns}" if latest else "–"
    return Choice(dataset.name, size, misfit)


def _with_chosen(choices: list[Choice], chosen: str) -> list[Choice]:
    """What was chosen stays in the list, though it is not among the newest, or gone."""
    known = not chosen or any(one.name == chosen for one in choices)
    return choices if known else [*choices, Choice(chosen, "?", "")]


def _without_label(dataset: Dataset) -> str:
    has_label = dataset.latest is not None and dataset.latest.schema.get("label") is not None
    return "" if has_label else _("has no label column")


def _misfit(dataset: Dataset, wanted: int | None) -> str:
    without = _without_label(dataset)
    given = _n_features(dataset)
    if without or wanted is None or given == wanted:
        return without
    return _("%(given)s features, not %(accepted)s") % {"given": given, "accepted": wanted}


def _n_features(dataset: Dataset) -> int | None:
    latest = dataset.latest
    return latest.n_columns - (latest.schema.get("label") is not None) if latest else None
