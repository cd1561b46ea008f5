"""Endpoints, their configurations and weighted production variants."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from endpoints.models.models import Model
from mlplatform.core.models import Project
from mlplatform.core.named_values_field import NamedValuesField
from mlplatform.core.status import EndpointStatus
from mlplatform.core.text import from_json


class EndpointConfig(models.Model):
    """A set of variants, never changed but for weights and counts; an endpoint moves from one to the next.

    `async_inference` is null, or {"output_uri", "failure_uri", "max_concurrent_per_instance"}: then requests are
    objects, and so are answers.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="endpoint_configs")
    name = models.CharField(_("name"), max_length=63)
    async_inference = models.JSONField(_("asynchronous inference"), null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_endpoint_config_per_name")
        ]
        verbose_name = _("endpoint configuration")
        verbose_name_plural = _("endpoint configurations")

    def __str__(self) -> str:
        return self.name


class ProductionVariant(models.Model):
    """A model on so many instances with a share of the traffic: weight / sum of weights.

    A serverless one has memory and concurrency in the place of instance type (empty text) and count. One with
    `idle_after_s`, as every serverless one has, goes to no replica after so long without a request and comes back
    with the next: `n_wanted` is how many replicas it is to have now, `demanded_at` since when requests wait for one.
    """

    config = models.ForeignKey(EndpointConfig, on_delete=models.CASCADE, related_name="variants")
    name = models.CharField(_("name"), max_length=63)
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="variants")
    instance_type = models.CharField(_("instance type"), max_length=40)
    instance_count = models.PositiveSmallIntegerField(_("instance count"), default=1)
    weight = models.FloatField(_("weight"), default=1.0)
    serverless_memory_mb = models.PositiveIntegerField(_("memory (MB)"), null=True, blank=True)
    serverless_max_concurrency = models.PositiveIntegerField(_("concurrency"), null=True, blank=True)
    idle_after_s = models.PositiveIntegerField(_("idle time (s)"), null=True, blank=True)
    n_wanted = models.PositiveSmallIntegerField(default=0)
    demanded_at = models.DateTimeField(null=True, blank=True)
    requested_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["config", "name"], name="one_variant_per_name")]
        verbose_name = _("production variant")
        verbose_name_plural = _("production variants")

    def __str__(self) -> str:
        return self.name

    @property
    def placed_on(self) -> str:
        """Its instance type, or the memory that it has instead."""
        return self.instance_type or f"serverless {self.serverless_memory_mb} MB"


class Endpoint(models.Model):
    """A stable address for predictions.

    `wanted` is the configuration asked for, `live` the one that answers; they differ while an update rolls out.
    `failure` is null or {"reason", "said", "detail", "log_tail": [lines]}: the model server's own words; `said` is the
    reason with its template, null where it is not the platform's.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="endpoints")
    name = models.CharField(_("name"), max_length=63)
    uid = models.CharField(max_length=26, unique=True)
    description = models.TextField(_("description"), blank=True)
    status = models.CharField(
        _("status"),
        max_length=12,
        default=EndpointStatus.CREATING,
        choices=[(status.value, status.value) for status in EndpointStatus],
    )
    wanted = models.ForeignKey(EndpointConfig, on_delete=models.PROTECT, related_name="+")
    live = models.ForeignKey(
        EndpointConfig, on_delete=models.PROTECT, related_name="+", null=True, blank=True
    )
    failure = models.JSONField(_("failure"), null=True, blank=True)
    tags = NamedValuesField(_("tags"), default=dict, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(_("created at"))
    updated_at = models.DateTimeField(_("updated at"))
    in_service_at = models.DateTimeField(_("in service since"), null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "-pk"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_endpoint_per_name")]
        indexes = [models.Index(fields=["project", "-created_at", "-id"])]
        verbose_name = _("endpoint")
        verbose_name_plural = _("endpoints")

    def __str__(self) -> str:
        return self.name

    @property
    def arn(self) -> str:
        return self.project.arn("endpoint", self.name)

    @property
    def failure_reason(self) -> str:
        """With its template, where the platform and not the model said it."""
        if not self.failure:
            return ""
        return (
            str(self.failure["reason"]) if not self.failure.get("said") else from_json(self.failure["said"])
        )
