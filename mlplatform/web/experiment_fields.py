"""The fields of the form of a new experiment: ways to begin, hyperparameters in common, numbers. Pure.

Each comes with what was given and what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

from endpoints.experiment_presets import preset_list
from jobs.algorithms.base import AlgorithmSpec
from mlplatform.core.translation import translated
from mlplatform.web.forms.experiments import ExperimentForm

BLANK: Final = ""
VARIED: Final = frozenset({"sample_size", "index_type"})
"""Hyperparameters that the grid varies, and that are therefore not among those in common."""
_ICONS: Final = {"knn-trade-off": "scale", "knn-small": "flask-conical"}


@dataclass(frozen=True)
class Card:
    """A way to begin."""

    name: str
    title: str
    summary: str
    icon: str


def cards() -> list[Card]:
    blank = Card(BLANK, _("Blank"), _("An empty grid, to be filled in by hand."), "square-dashed")
    made = [
        Card(one.name, translated(one.title), translated(one.summary), _ICONS.get(one.name, "grid-3x3"))
        for one in preset_list()
    ]
    return [*made, blank]


def shared_names(spec: AlgorithmSpec) -> list[str]:
    """The hyperparameters that all cells can have in common; those of one kind of index stand in its row."""
    return [
        declared.name
        for declared in spec.hyperparameters
        if not declared.hidden
        and declared.name not in VARIED
        and "index_type" not in (declared.relevant_if or {})
    ]


def shared_fields(
    spec: AlgorithmSpec, form: ExperimentForm, errors: Mapping[str, str]
) -> list[tuple[dict[str, Any], str | None, str | None]]:
    """Their declarations with what was given and what is wrong with it."""
    return [
        (
            spec.hyperparameter(name).describe(),
            form.hyperparameters.get(name),
            errors.get(f"hyperparameters.{name}"),
        )
        for name in shared_names(spec)
    ]


def index_types(spec: AlgorithmSpec) -> list[str]:
    declared = next((one for one in spec.hyperparameters if one.name == "index_type"), None)
    return list(declared.describe()["values"] or []) if declared else []


def has_sample_size(spec: AlgorithmSpec) -> bool:
    return any(declared.name == "sample_size" for declared in spec.hyperparameters)


def number_fields(
    form: ExperimentForm, errors: Mapping[str, str]
) -> list[tuple[str, str, str, str | None, str, bool]]:
    """(name, title, hint, error, value, optional) of the numbers."""
    given = [
        (
            "parallelism",
            _("Cells at a time"),
            _("Latencies are cleanest with 1: cells that run beside each other share the machine."),
            False,
        ),
        (
            "k_max",
            _("Largest k"),
            _("Scores are computed for every k up to this one; empty: the model's own."),
            True,
        ),
        ("batches", _("Batches"), _("Into how many requests the test data is cut."), False),
        ("single_requests", _("Single requests"), _("How many requests of one row follow."), False),
    ]
    return [
        (name, title, hint, errors.get(name), getattr(form, name), optional)
        for name, title, hint, optional in given
    ]
