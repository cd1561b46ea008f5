"""Experiments: a grid of configurations, sample sizes and instance types, each trained, deployed and evaluated."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from endpoints.models.endpoints import Endpoint
from endpoints.models.evaluations import Evaluation
from endpoints.models.models import Model
from jobs.models import DatasetVersion, TrainingJob
from mlplatform.core.models import Project
from mlplatform.core.named_values_field import NamedValuesField
from mlplatform.core.status import TERMINAL_EXPERIMENT, CellStatus, ExperimentStatus
from mlplatform.core.text_field import MessageField


class Unserved(models.TextChoices):
    """What becomes of cells whose instance type nobody serves."""

    WAIT = "wait", _("wait until somebody serves it")
    SKIP = "skip", _("skip the cell")


class Experiment(models.Model):
    """What was asked for; the grid is its cells.

    `configurations` is [{"name", "hyperparameters": {name: text}, "by_sample_size": {"200000": {name: text}}}], of
    which the last may be missing. `created_by` is in whose name it runs: who created it, or resumed it last.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="experiments")
    name = models.CharField(_("name"), max_length=63)
    uid = models.CharField(max_length=26, unique=True)
    description = models.TextField(_("description"), blank=True)
    preset = models.CharField(_("preset"), max_length=40, blank=True)

    algorithm = models.CharField(_("algorithm"), max_length=40)
    hyperparameters = NamedValuesField(_("hyperparameters"), default=dict)
    configurations = models.JSONField(_("configurations"), default=list)
    sample_sizes = models.JSONField(_("sample sizes"), default=list)
    instance_types = models.JSONField(_("instance types"), default=list)
    training_instance_type = models.CharField(max_length=40, default="local.cpu")
    train_version = models.ForeignKey(
        DatasetVersion, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    train_reference = models.CharField(_("training data"), max_length=80)
    test_version = models.ForeignKey(
        DatasetVersion, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    test_reference = models.CharField(_("test data"), max_length=80)
    parallelism = models.PositiveSmallIntegerField(_("cells at a time"), default=1)
    unserved = models.CharField(max_length=8, choices=Unserved.choices, default=Unserved.WAIT)
    k_max = models.PositiveIntegerField(null=True, blank=True)
    batches = models.PositiveIntegerField(default=100)
    single_requests = models.PositiveIntegerField(default=2000)
    tags = NamedValuesField(_("tags"), default=dict, blank=True)

    status = models.CharField(
        _("status"),
        max_length=12,
        default=ExperimentStatus.IN_PROGRESS,
        choices=[(status.value, status.value) for status in ExperimentStatus],
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(_("created at"))
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_experiment_per_name")]
        indexes = [
            models.Index(fields=["project", "-created_at", "-id"]),
            models.Index(fields=["status"]),
        ]
        verbose_name = _("experiment")
        verbose_name_plural = _("experiments")

    def __str__(self) -> str:
        return self.name

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL_EXPERIMENT


class ExperimentCell(models.Model):
    """One configuration, sample size and instance type. Those that differ in the instance type alone share a training
    job, by `training_key`.

    `endpoint_uids` are the ids of all endpoints it ever had, by which what they cost is found when they are gone.
    `waiting` says why nothing happens now; `failure` why the cell has no evaluation. `model` is set with the endpoint,
    in one commit: a cell that has a model was deployed in this attempt.
    """

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="cells")
    position = models.PositiveIntegerField()
    configuration = models.CharField(_("configuration"), max_length=63)
    sample_size = models.PositiveIntegerField(_("sample size"), null=True, blank=True)
    instance_type = models.CharField(_("instance type"), max_length=40)
    hyperparameters = NamedValuesField(_("hyperparameters"), default=dict)
    training_key = models.CharField(max_length=64)

    status = models.CharField(
        _("status"),
        max_length=12,
        default=CellStatus.PENDING,
        choices=[(status.value, status.value) for status in CellStatus],
    )
    attempt = models.PositiveSmallIntegerField(default=1)
    waiting = MessageField(blank=True)
    failure = MessageField(blank=True)
    training_job = models.ForeignKey(
        TrainingJob, on_delete=models.SET_NULL, null=True, blank=True, related_name="experiment_cells"
    )
    model = models.ForeignKey(
        Model, on_delete=models.SET_NULL, null=True, blank=True, related_name="experiment_cells"
    )
    endpoint = models.ForeignKey(
        Endpoint, on_delete=models.SET_NULL, null=True, blank=True, related_name="experiment_cells"
    )
    endpoint_uids = models.JSONField(default=list)
    evaluation = models.ForeignKey(
        Evaluation, on_delete=models.SET_NULL, null=True, blank=True, related_name="experiment_cells"
    )
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["experiment", "position"], name="one_cell_per_position")
        ]
        indexes = [models.Index(fields=["experiment", "status"])]
        verbose_name = _("experiment cell")
        verbose_name_plural = _("experiment cells")

    def __str__(self) -> str:
        size = f" {self.sample_size}" if self.sample_size else ""
        return f"{self.configuration}{size} {self.instance_type}"
