"""Tuning jobs and their trials: a trial is an ordinary training job whose hyperparameters a sampler chose."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from jobs.models.sources import Source
from jobs.models.training import TrainingJob
from mlplatform.core.models import Project
from mlplatform.core.named_values_field import NamedValuesField
from mlplatform.core.status import TERMINAL_TUNING, TrialStatus, TuningJobStatus
from mlplatform.core.text_field import MessageField


class TuningStrategy(models.TextChoices):
    BAYESIAN = "Bayesian", _("Bayesian")
    RANDOM = "Random", _("Random")
    GRID = "Grid", _("Grid")
    HYPERBAND = "Hyperband", _("Hyperband")


class TuningJob(models.Model):
    """What was asked for. The trials are rows of their own, so that any process can go on where another ended.

    `ranges` is [{"name", "type": "Integer" | "Continuous" | "Categorical", "min", "max", "scaling", "values"}], numbers
    as numbers and values as text; `static_hyperparameters` is name to text; `channels`, `environment`, `tags` and
    `metric_definitions` are as a training job's request has them, with dataset versions pinned. `hyperband` is null or
    {"min_resource", "max_resource", "reduction_factor", "resource"}; `completion` may have {"target_value",
    "max_jobs_not_improving", "on_convergence"}; `warm_start` is null or {"type", "parents": [names]} and
    `warm_trials` [{"parameters", "value", "tuning_job", "training_job"}] is what was taken from them.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tuning_jobs")
    name = models.CharField(_("name"), max_length=32)
    uid = models.CharField(max_length=26, unique=True)
    description = models.TextField(_("description"), blank=True)

    strategy = models.CharField(_("strategy"), max_length=12, choices=TuningStrategy.choices)
    objective_metric = models.CharField(_("objective metric"), max_length=255)
    objective_type = models.CharField(
        _("direction"), max_length=8, choices=[("Minimize", _("Minimize")), ("Maximize", _("Maximize"))]
    )
    ranges = models.JSONField(_("ranges"), default=list)
    max_jobs = models.PositiveIntegerField(_("maximum number of jobs"), null=True, blank=True)
    max_parallel_jobs = models.PositiveSmallIntegerField(_("jobs at a time"), default=1)
    max_runtime_s = models.PositiveIntegerField(_("maximum run time (s)"), null=True, blank=True)
    early_stopping = models.CharField(
        _("early stopping"),
        max_length=4,
        choices=[("Off", _("off")), ("Auto", _("automatic"))],
        default="Off",
    )
    hyperband = models.JSONField(null=True, blank=True)
    completion = models.JSONField(_("completion criteria"), default=dict, blank=True)
    random_seed = models.PositiveIntegerField(_("random seed"), default=0)
    warm_start = models.JSONField(_("warm start"), null=True, blank=True)
    warm_trials = models.JSONField(default=list, blank=True)

    algorithm = models.CharField(_("algorithm"), max_length=40)
    framework = models.CharField(_("framework"), max_length=20, blank=True)
    entry_point = models.CharField(_("entry point"), max_length=200, blank=True)
    source = models.ForeignKey(
        Source, on_delete=models.PROTECT, null=True, blank=True, related_name="tuning_jobs"
    )
    static_hyperparameters = NamedValuesField(_("static hyperparameters"), default=dict)
    channels = models.JSONField(_("channels"), default=dict)
    metric_definitions = models.JSONField(_("metric definitions"), default=list)
    instance_type = models.CharField(_("instance type"), max_length=40)
    instance_count = models.PositiveSmallIntegerField(_("instance count"), default=1)
    job_max_runtime_s = models.PositiveIntegerField(_("maximum run time of a job (s)"), default=86400)
    environment = NamedValuesField(_("environment"), default=dict, blank=True)
    tags = NamedValuesField(_("tags"), default=dict, blank=True)

    status = models.CharField(
        _("status"),
        max_length=12,
        default=TuningJobStatus.IN_PROGRESS,
        choices=[(status.value, status.value) for status in TuningJobStatus],
    )
    ended_because = MessageField(blank=True)
    waiting = MessageField(blank=True)
    failure = MessageField(blank=True)
    best_trial = models.ForeignKey(
        "TuningTrial", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    lease_owner = models.CharField(max_length=200, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    stop_requested_at = models.DateTimeField(_("stop requested at"), null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(_("created at"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_tuning_job_per_name")]
        indexes = [
            models.Index(fields=["project", "-created_at", "-id"]),
            models.Index(fields=["status"]),
        ]
        verbose_name = _("tuning job")
        verbose_name_plural = _("tuning jobs")

    def __str__(self) -> str:
        return self.name

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL_TUNING

    @property
    def arn(self) -> str:
        return self.project.arn("hyper-parameter-tuning-job", self.name)


class TuningTrial(models.Model):
    """One suggestion of the sampler and the training job that tried it.

    `parameters` is name to text, as the job has them; `internal` is what the sampler needs to know of the suggestion
    again. `value` is the objective's last value; `steps` the objective's values by step [[step, value], …], which
    pruners judge by. `explanation` says why there is no value, or why it was stopped. `job_name` is set before the
    job is made, so that whoever goes on finds it.
    """

    tuning_job = models.ForeignKey(TuningJob, on_delete=models.CASCADE, related_name="trials")
    number = models.PositiveIntegerField(_("number"))
    parameters = models.JSONField(_("parameters"), default=dict)
    internal = models.JSONField(default=dict)
    job_name = models.CharField(max_length=63)
    training_job = models.OneToOneField(
        TrainingJob, on_delete=models.SET_NULL, null=True, blank=True, related_name="trial"
    )
    status = models.CharField(
        _("status"),
        max_length=12,
        default=TrialStatus.PENDING,
        choices=[(status.value, status.value) for status in TrialStatus],
    )
    value = models.FloatField(_("objective"), null=True, blank=True)
    steps = models.JSONField(default=list)
    explanation = MessageField(blank=True)
    created_at = models.DateTimeField(_("created at"))
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["tuning_job", "number"], name="one_trial_per_number")]
        indexes = [
            models.Index(fields=["tuning_job", "status"]),
            # Which jobs are whose trials, for costs: without reading the rows, which are long.
            models.Index(fields=["training_job", "tuning_job"], name="trials_billed"),
        ]
        verbose_name = _("trial")
        verbose_name_plural = _("trials")

    def __str__(self) -> str:
        return f"{self.tuning_job.name} #{self.number}"
