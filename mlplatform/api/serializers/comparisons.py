"""Comparisons of runs: how they are asked for and what they are."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from endpoints.selectors.comparison import RunKind
from jobs.comparison.runs import N_MAX
from mlplatform.api.fields import Answer, OneOfField
from mlplatform.api.serializers.result_tables import ResultTableQuery
from mlplatform.core.names import NAME_MAX_LENGTH
from mlplatform.core.status import TrainingJobStatus


class ComparisonQuery(ResultTableQuery):
    """Runs by name, or all that match, or both: 2 to 500 of them."""

    repeated: ClassVar[frozenset[str]] = frozenset({"name"})

    kind = OneOfField(choices=[kind.value for kind in RunKind], default=RunKind.TRAINING_JOBS.value)
    name = serializers.ListField(
        child=serializers.CharField(max_length=NAME_MAX_LENGTH),
        default=list,
        max_length=2 * N_MAX,
        help_text="Name of a run; given once for each.",
    )
    names = serializers.CharField(
        max_length=N_MAX * (NAME_MAX_LENGTH + 1),
        default="",
        allow_blank=True,
        help_text="The same, names with commas between them.",
    )
    search = serializers.CharField(
        max_length=100, default="", allow_blank=True, help_text="Part of the name, as in the list."
    )
    status = OneOfField(choices=[status.value for status in TrainingJobStatus], default="", allow_blank=True)
    algorithm = serializers.CharField(max_length=40, default="", allow_blank=True)
    endpoint = serializers.CharField(
        max_length=NAME_MAX_LENGTH, default="", allow_blank=True, help_text="That was evaluated."
    )
    all = OneOfField(
        choices=["0", "1"], default="0", help_text="1: all runs of the kind, where nothing is searched for."
    )
    metric = serializers.CharField(
        max_length=255, default="", allow_blank=True, help_text="One of `curve_metrics`, whose curves to add."
    )


@extend_schema_field({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2})
class IntervalField(serializers.ListField):
    """[low, high]."""


@extend_schema_field(
    {
        "type": "array",
        "prefixItems": [{"type": "number"}, {"type": ["number", "null"]}],
        "minItems": 2,
        "maxItems": 2,
    }
)
class CurvePointField(serializers.ListField):
    """[x, value]."""


class ComparedRun(Answer):
    name = serializers.CharField()
    status = serializers.CharField()
    created_at = serializers.DateTimeField()
    parameters = serializers.DictField(
        child=serializers.CharField(allow_blank=True),
        help_text="`algorithm`, `hyperparameters.k`, `channels.train`, …; defaults that hold are among them.",
    )
    metrics = serializers.DictField(child=serializers.FloatField())
    intervals = serializers.DictField(child=IntervalField(), help_text="Of metrics that have one.")


class ComparedMetric(Answer):
    name = serializers.CharField()
    direction = serializers.ChoiceField(
        choices=["Maximize", "Minimize"], allow_null=True, help_text="null: not known."
    )
    best = serializers.ListField(child=serializers.CharField(), help_text="Names of the runs; all that tie.")


class CurveSeries(Answer):
    name = serializers.CharField()
    points = serializers.ListField(child=CurvePointField())


class ComparedCurves(Answer):
    metric = serializers.CharField()
    x = serializers.ChoiceField(choices=["step", "k"])
    series = CurveSeries(many=True, help_text="At most 50,000 points together, extremes kept.")


class Comparison(Answer):
    kind = serializers.ChoiceField(choices=[kind.value for kind in RunKind])
    runs = ComparedRun(many=True)
    differing = serializers.ListField(
        child=serializers.CharField(), help_text="Parameters that are not the same in all runs."
    )
    equal = serializers.DictField(
        child=serializers.CharField(allow_blank=True), help_text="Parameters that are."
    )
    metrics = ComparedMetric(many=True)
    curve_metrics = serializers.ListField(child=serializers.CharField())
    curves = ComparedCurves(allow_null=True)


def names_of(asked: dict[str, Any]) -> tuple[str, ...]:
    """The names of a validated query, in their order."""
    listed = (name.strip() for name in asked["names"].split(","))
    return tuple(name for name in (*asked["name"], *listed) if name)
