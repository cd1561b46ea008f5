"""Experiments: requests and answers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from mlplatform.api.fields import (
    Answer,
    NameField,
    OneOfField,
    StrictSerializer,
    TextField,
    TextMapField,
    WholeNumberField,
)
from mlplatform.api.serializers.costs import Cost
from mlplatform.api.serializers.lists import ListQuery, order_field
from mlplatform.api.serializers.training import HyperparametersField
from mlplatform.core.status import CellStatus, ExperimentStatus

ITEMS_MAX = 10_000
"""Of a list in a request; how many cells an experiment may have says the service, with its numbers."""
SAMPLE_SIZE_MAX = 2**31 - 1
K_MAX = 100_000
_STATUSES = [status.value for status in ExperimentStatus]
_UNSERVED = ["wait", "skip"]


@extend_schema_field(
    {
        "type": "object",
        "propertyNames": {"pattern": "^[1-9][0-9]{0,9}$"},
        "additionalProperties": {
            "type": "object",
            "additionalProperties": {"type": ["string", "number", "boolean"]},
            "maxProperties": 100,
        },
        "description": "By sample size the hyperparameters that hold for it alone; they win over all others.",
    }
)
class BySampleSizeField(serializers.DictField):
    """{"200000": {name: value}}."""

    child = HyperparametersField()


class ConfigurationInput(StrictSerializer):
    name = NameField(help_text="At most 40 characters; part of the names of jobs and evaluations.")
    hyperparameters = HyperparametersField(default=dict)
    by_sample_size = BySampleSizeField(required=False)


class ExperimentRequest(StrictSerializer):
    """What is left out is as the preset has it, where one is named."""

    name = NameField(
        required=False, allow_null=True, default=None, help_text="Made from preset and time if left out."
    )
    preset = TextField(
        max_length=40, allow_blank=True, default="", help_text="See `/api/v1/experiment-presets/`."
    )
    train = TextField(max_length=80, help_text="Dataset to train with: its name, or `name@3`.")
    test = TextField(max_length=80, help_text="Dataset to evaluate with: its name, or `name@3`.")
    algorithm = TextField(max_length=40, required=False, help_text="`knn` by default.")
    hyperparameters = HyperparametersField(required=False, help_text="Of all configurations.")
    configurations: Any = serializers.ListSerializer(
        child=ConfigurationInput(), required=False, max_length=ITEMS_MAX
    )
    sample_sizes = serializers.ListField(
        child=WholeNumberField(min_value=1, max_value=SAMPLE_SIZE_MAX), required=False, max_length=ITEMS_MAX
    )
    instance_types = serializers.ListField(
        child=TextField(max_length=40), required=False, max_length=ITEMS_MAX
    )
    training_instance_type = TextField(max_length=40, required=False, help_text="`local.cpu` by default.")
    parallelism = WholeNumberField(
        min_value=1,
        max_value=20,
        required=False,
        help_text="Cells at a time, 1 by default; on one machine they slow one another's answers down.",
    )
    unserved = OneOfField(
        choices=_UNSERVED,
        required=False,
        help_text="Cells of instance types that nobody serves wait (the default) or are skipped.",
    )
    k_max = WholeNumberField(
        min_value=1,
        max_value=K_MAX,
        required=False,
        allow_null=True,
        help_text="Up to which k evaluations score; at most the smallest k of the configurations.",
    )
    batches = WholeNumberField(min_value=1, max_value=10_000, required=False, help_text="100 by default.")
    single_requests = WholeNumberField(
        min_value=0, max_value=100_000, required=False, help_text="2,000 by default."
    )
    description = TextField(allow_blank=True, max_length=2000, default="")
    tags = TextMapField(default=dict)


class ExperimentQuery(ListQuery):
    status = OneOfField(choices=_STATUSES, default="", allow_blank=True)
    order = order_field("created", "name", "status")


class ExperimentSummary(Answer):
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=_STATUSES)
    description = serializers.CharField(allow_blank=True)
    preset = serializers.CharField(allow_null=True)
    algorithm = serializers.CharField()
    train = serializers.CharField(help_text="`name@version`.")
    test = serializers.CharField(help_text="`name@version`.")
    n_cells = serializers.IntegerField()
    n_completed = serializers.IntegerField()
    n_failed = serializers.IntegerField()
    n_ended = serializers.IntegerField(help_text="Completed, failed, skipped or stopped.")
    created_by = serializers.CharField(help_text="In whose name it runs: who created it, or resumed it last.")
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class ExperimentCell(Answer):
    number = serializers.IntegerField(help_text="From 1.")
    configuration = serializers.CharField()
    sample_size = serializers.IntegerField(allow_null=True)
    instance_type = serializers.CharField()
    hyperparameters = serializers.DictField(child=serializers.CharField(allow_blank=True))
    status = serializers.ChoiceField(choices=[status.value for status in CellStatus])
    attempt = serializers.IntegerField(help_text="1, and one more with every resume.")
    waiting_reason = serializers.CharField(allow_null=True, help_text="Why nothing happens now.")
    failure_reason = serializers.CharField(allow_null=True)
    training_job = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    endpoint = serializers.CharField(allow_null=True, help_text="null when it is deleted again.")
    evaluation = serializers.CharField(allow_null=True)
    progress = serializers.DictField(allow_null=True, help_text="Of its evaluation.")
    summary = serializers.DictField(allow_null=True, help_text="Of its evaluation.")
    price_per_hour = serializers.FloatField(allow_null=True)
    price_per_million_rows = serializers.FloatField(
        allow_null=True, help_text="Sent in batches as they were measured."
    )
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class Configuration(Answer):
    name = serializers.CharField()
    hyperparameters = serializers.DictField(child=serializers.CharField(allow_blank=True))
    by_sample_size = serializers.DictField(
        child=serializers.DictField(child=serializers.CharField(allow_blank=True)), required=False
    )


class Experiment(ExperimentSummary):
    hyperparameters = serializers.DictField(child=serializers.CharField(allow_blank=True))
    configurations = Configuration(many=True)
    sample_sizes = serializers.ListField(child=serializers.IntegerField())
    cost = Cost(help_text="Of its training jobs and endpoints, so far.")
    instance_types = serializers.ListField(child=serializers.CharField())
    training_instance_type = serializers.CharField()
    parallelism = serializers.IntegerField()
    unserved = serializers.ChoiceField(choices=_UNSERVED)
    k_max = serializers.IntegerField(allow_null=True)
    batches = serializers.IntegerField()
    single_requests = serializers.IntegerField()
    tags = serializers.DictField(child=serializers.CharField(allow_blank=True))
    cells = ExperimentCell(many=True)


class ExperimentDeletionQuery(StrictSerializer):
    keep_results = OneOfField(
        choices=["true", "false"],
        default="false",
        help_text="true: evaluations, models and training jobs of its cells stay.",
    )


class ExperimentDeletion(Answer):
    n_evaluations = serializers.IntegerField(help_text="Deleted with it.")
    n_models = serializers.IntegerField(help_text="Deleted with it.")
    n_training_jobs = serializers.IntegerField(help_text="Deleted with it.")
    kept_models = serializers.ListField(
        child=serializers.CharField(), help_text="Served by endpoints: they stay, with their training jobs."
    )


class ExperimentPreset(Answer):
    name = serializers.CharField()
    title = serializers.CharField()
    summary = serializers.CharField()
    sample = serializers.CharField(allow_null=True, help_text="Sample data that it fits.")
    algorithm = serializers.CharField()
    hyperparameters = serializers.DictField(child=serializers.CharField(allow_blank=True))
    configurations = Configuration(many=True)
    sample_sizes = serializers.ListField(child=serializers.IntegerField())
    instance_types = serializers.ListField(child=serializers.CharField())
    training_instance_type = serializers.CharField()
    parallelism = serializers.IntegerField()
    unserved = serializers.ChoiceField(choices=_UNSERVED)
    k_max = serializers.IntegerField(allow_null=True)
    batches = serializers.IntegerField()
    single_requests = serializers.IntegerField()
