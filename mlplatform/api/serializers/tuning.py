"""Tuning jobs: requests and answers."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from jobs.models import TuningStrategy
from jobs.services.tuning_search_checks import (
    JOBS_MAX_RANDOM,
    PARALLEL_LIMIT,
    RESOURCE_MAX,
    RUNTIME_MAX_S,
    SEED_MAX,
)
from jobs.services.tuning_warm_start import PARENTS_MAX
from jobs.services.tuning_warm_start import TYPES as WARM_START_TYPES
from jobs.tuning.range_checks import NUMBER_MAX, RANGES_MAX, VALUE_MAX, VALUES_MAX
from jobs.tuning.ranges import SCALINGS, TYPES
from mlplatform.api.fields import (
    Answer,
    FlagField,
    JobEnvironmentField,
    NameField,
    NumberField,
    OneOfField,
    StrictSerializer,
    TextField,
    TextMapField,
    WholeNumberField,
)
from mlplatform.api.serializers.lists import ListQuery, order_field
from mlplatform.api.serializers.sources import Script, ScriptInput
from mlplatform.api.serializers.training import (
    MAX_RUNTIME_S,
    ChannelInput,
    HyperparametersField,
    MetricDefinition,
    TrainingChannel,
)
from mlplatform.core.status import TrialStatus, TuningJobStatus

_STATUSES = [status.value for status in TuningJobStatus]
_OBJECTIVES = ["Minimize", "Maximize"]
_STRATEGIES = list(TuningStrategy.values)


class RangeInput(StrictSerializer):
    """`min` and `max` for Integer and Continuous, `values` for Categorical."""

    name = TextField(max_length=256, help_text="The hyperparameter.")
    type = OneOfField(choices=list(TYPES))
    min = NumberField(min_value=-NUMBER_MAX, max_value=NUMBER_MAX, required=False, allow_null=True)
    max = NumberField(min_value=-NUMBER_MAX, max_value=NUMBER_MAX, required=False, allow_null=True)
    scaling = OneOfField(choices=list(SCALINGS), required=False, help_text="Auto by default.")
    step = NumberField(
        min_value=0,
        max_value=NUMBER_MAX,
        required=False,
        allow_null=True,
        help_text="Only every so-many-th value; Grid needs it of a Continuous range.",
    )
    values = serializers.ListField(
        child=TextField(max_length=VALUE_MAX),
        required=False,
        max_length=VALUES_MAX,
        help_text="Texts, as a training job gets them.",
    )


class HyperbandInput(StrictSerializer):
    min_resource = WholeNumberField(min_value=1, max_value=RESOURCE_MAX)
    max_resource = WholeNumberField(min_value=1, max_value=RESOURCE_MAX)
    reduction_factor = WholeNumberField(min_value=2, max_value=10, default=3)
    resource = TextField(
        max_length=256,
        allow_blank=True,
        default="",
        help_text="The hyperparameter that says how many steps a job makes; each job gets `max_resource` for it.",
    )


class CompletionInput(StrictSerializer):
    target_value = NumberField(required=False, allow_null=True, help_text="Reached: enough.")
    max_jobs_not_improving = WholeNumberField(
        min_value=1, max_value=JOBS_MAX_RANDOM, required=False, allow_null=True
    )
    on_convergence = FlagField(required=False)


class WarmStartInput(StrictSerializer):
    type = OneOfField(choices=list(WARM_START_TYPES))
    parents = serializers.ListField(child=NameField(), min_length=1, max_length=PARENTS_MAX)


class TuningJobRequest(StrictSerializer):
    name = NameField(
        required=False,
        allow_null=True,
        default=None,
        help_text="At most 32 characters; made of the time if left out.",
    )
    description = TextField(allow_blank=True, max_length=2000, default="")
    strategy = OneOfField(choices=_STRATEGIES, default="Bayesian")
    objective_metric = TextField(max_length=255, help_text="Its last value is what counts.")
    objective_type = OneOfField(choices=_OBJECTIVES)
    ranges: Any = serializers.ListSerializer(child=RangeInput(), max_length=RANGES_MAX)
    max_jobs = WholeNumberField(
        min_value=1,
        max_value=JOBS_MAX_RANDOM,
        required=False,
        allow_null=True,
        help_text="750 at most, of Random 10,000. Left out: the whole grid, or until another end.",
    )
    max_parallel_jobs = WholeNumberField(min_value=1, max_value=PARALLEL_LIMIT, default=1)
    max_runtime_s = WholeNumberField(
        min_value=1, max_value=RUNTIME_MAX_S, required=False, allow_null=True, help_text="Of the whole."
    )
    early_stopping = OneOfField(choices=["Off", "Auto"], default="Off")
    hyperband = HyperbandInput(required=False, allow_null=True)
    completion = CompletionInput(required=False)
    random_seed = WholeNumberField(
        min_value=0, max_value=SEED_MAX, required=False, allow_null=True, help_text="Drawn if left out."
    )
    warm_start = WarmStartInput(required=False, allow_null=True)
    algorithm = TextField(max_length=40, required=False, help_text="Or a script.")
    script = ScriptInput(required=False, allow_null=True)
    static_hyperparameters = HyperparametersField(default=dict, help_text="Every job gets them.")
    channels = serializers.DictField(
        child=ChannelInput(), help_text="By channel name: `train`, `validation`."
    )
    metric_definitions: Any = serializers.ListSerializer(
        child=MetricDefinition(), default=list, max_length=40
    )
    instance_type = TextField(max_length=40, default="local.cpu")
    instance_count = WholeNumberField(
        min_value=1, max_value=1, default=1, help_text="A job runs on 1 instance."
    )
    job_max_runtime_s = WholeNumberField(
        min_value=1, max_value=MAX_RUNTIME_S, default=86400, help_text="Of each training job."
    )
    environment = JobEnvironmentField(default=dict)
    tags = TextMapField(default=dict)


class TuningJobExtension(StrictSerializer):
    max_jobs = WholeNumberField(
        min_value=1, max_value=JOBS_MAX_RANDOM, help_text="In all, with those it has."
    )


class TuningJobQuery(ListQuery):
    status = OneOfField(choices=_STATUSES, default="", allow_blank=True)
    strategy = OneOfField(choices=_STRATEGIES, default="", allow_blank=True)
    algorithm = serializers.CharField(max_length=40, default="", allow_blank=True)
    order = order_field("created", "name", "status", "strategy", "algorithm")


class TuningJobDeletionQuery(StrictSerializer):
    with_jobs = OneOfField(
        choices=["true", "false"],
        default="false",
        help_text="true: its training jobs go too, but for those of which a model was made.",
    )


class BestTrainingJob(Answer):
    name = serializers.CharField(allow_null=True, help_text="null where it was deleted.")
    number = serializers.IntegerField()
    value = serializers.FloatField()
    hyperparameters = serializers.DictField(child=serializers.CharField(), help_text="The tuned ones.")


class TuningJobSummary(Answer):
    name = serializers.CharField()
    arn = serializers.CharField()
    status = serializers.ChoiceField(choices=_STATUSES)
    description = serializers.CharField(allow_blank=True)
    strategy = serializers.ChoiceField(choices=_STRATEGIES)
    algorithm = serializers.CharField()
    objective_metric = serializers.CharField()
    objective_type = serializers.ChoiceField(choices=_OBJECTIVES)
    max_jobs = serializers.IntegerField(allow_null=True)
    max_parallel_jobs = serializers.IntegerField()
    n_trials = serializers.IntegerField(help_text="Begun so far.")
    n_valued = serializers.IntegerField(help_text="That have a value.")
    n_active = serializers.IntegerField(help_text="Under way.")
    n_failed = serializers.IntegerField(help_text="Failed, or ended without the objective.")
    best_training_job = BestTrainingJob(allow_null=True)
    waiting_reason = serializers.CharField(allow_null=True, help_text="Why nothing is begun now.")
    failure_reason = serializers.CharField(allow_null=True)
    ended_because = serializers.CharField(allow_null=True)
    created_by = serializers.CharField(help_text="In whose name it runs.")
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


class Range(Answer):
    name = serializers.CharField()
    type = serializers.ChoiceField(choices=list(TYPES))
    min = serializers.FloatField(allow_null=True)
    max = serializers.FloatField(allow_null=True)
    scaling = serializers.ChoiceField(choices=list(SCALINGS), allow_null=True, help_text="As asked for.")
    chosen = serializers.ChoiceField(
        choices=list(SCALINGS), allow_null=True, help_text="The scale it is searched on."
    )
    step = serializers.FloatField(allow_null=True)
    values = serializers.ListField(child=serializers.CharField(), allow_null=True)


class WarmTrial(Answer):
    parameters = serializers.DictField(child=serializers.CharField())
    value = serializers.FloatField()
    tuning_job = serializers.CharField()
    training_job = serializers.CharField()


class TuningJob(TuningJobSummary):
    trial_status_counts = serializers.DictField(
        child=serializers.IntegerField(), help_text="By trial status."
    )
    ranges = Range(many=True)
    max_runtime_s = serializers.IntegerField(allow_null=True)
    early_stopping = serializers.ChoiceField(choices=["Off", "Auto"])
    hyperband = HyperbandInput(allow_null=True)
    completion = CompletionInput()
    random_seed = serializers.IntegerField()
    warm_start = WarmStartInput(allow_null=True)
    warm_trials = WarmTrial(many=True, help_text="What was taken from its parents, the best 20.")
    n_warm_trials = serializers.IntegerField()
    script = Script(allow_null=True)
    static_hyperparameters = serializers.DictField(child=serializers.CharField(allow_blank=True))
    channels = serializers.DictField(child=TrainingChannel())
    metric_definitions = MetricDefinition(many=True)
    instance_type = serializers.CharField()
    instance_count = serializers.IntegerField()
    job_max_runtime_s = serializers.IntegerField()
    environment = serializers.DictField(child=serializers.CharField(allow_blank=True))
    tags = serializers.DictField(child=serializers.CharField(allow_blank=True))


class TuningTrialQuery(ListQuery):
    status = OneOfField(choices=[status.value for status in TrialStatus], default="", allow_blank=True)
    order = order_field("number", "value")


class TuningTrial(Answer):
    number = serializers.IntegerField(help_text="From 1.")
    status = serializers.ChoiceField(choices=[status.value for status in TrialStatus])
    value = serializers.FloatField(allow_null=True, help_text="The objective's last value.")
    hyperparameters = serializers.DictField(child=serializers.CharField(), help_text="The tuned ones.")
    training_job = serializers.CharField(
        allow_null=True, help_text="null where there is none, or it was deleted."
    )
    training_job_status = serializers.CharField(allow_null=True)
    explanation = serializers.CharField(allow_null=True, help_text="Why it has no value, or was stopped.")
    billable_s = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)


class TuningImportance(Answer):
    importance = serializers.DictField(
        child=serializers.FloatField(), help_text="Share by hyperparameter, largest first; they add up to 1."
    )
    evaluator = serializers.CharField(allow_null=True, help_text="fANOVA, or PED-ANOVA of very many trials.")
    n_trials = serializers.IntegerField(help_text="With a value.")
    reason = serializers.CharField(allow_null=True, help_text="Why there is none.")


class TuningJobCloneRequest(Answer):
    """The request that would make it again, with a fresh name: see the creating operation."""

    name = serializers.CharField()
    strategy = serializers.ChoiceField(choices=_STRATEGIES)
    objective_metric = serializers.CharField()
    objective_type = serializers.ChoiceField(choices=_OBJECTIVES)
