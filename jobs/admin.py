"""The operations console for datasets and training jobs. Reading, mostly; stopping and deleting go through
the services.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from jobs.algorithms.registry import ALGORITHMS, SCRIPT
from jobs.instance_types import instance_type_list
from jobs.models import (
    Dataset,
    DatasetVersion,
    JobEvent,
    MetricSummary,
    TrainingInput,
    TrainingJob,
    TuningJob,
    TuningTrial,
)
from jobs.selectors.training import training_job_waiting_reason
from jobs.services.training import training_job_delete, training_job_stop
from jobs.services.tuning import tuning_job_stop
from mlplatform.core import clock
from mlplatform.core.admin import KnownValuesFilter, ReadOnlyAdmin, ReadOnlyTable, admin_link, operator_actor
from mlplatform.core.logs import log_tail
from mlplatform.core.translation import translated


class JobEventInline(ReadOnlyTable):
    model = JobEvent
    show_change_link = False
    fields = ("at", "attempt", "secondary_status", "message_said")
    readonly_fields = fields

    @admin.display(description=gettext_lazy("message"))
    def message_said(self, row: JobEvent) -> str:
        return row.message_shown


class TrainingInputInline(ReadOnlyTable):
    model = TrainingInput
    show_change_link = False
    fields = ("channel", "dataset_reference", "uri", "content_type", "input_mode")
    readonly_fields = fields


class MetricSummaryInline(ReadOnlyTable):
    model = MetricSummary
    show_change_link = False
    fields = ("name", "n_points", "last", "minimum", "maximum", "last_at")
    readonly_fields = fields


class DatasetVersionInline(ReadOnlyTable):
    model = DatasetVersion
    fields = ("number", "filename", "n_rows", "n_columns", "size_bytes", "source", "created_by", "created_at")
    readonly_fields = fields


class AlgorithmFilter(KnownValuesFilter):
    title = gettext_lazy("algorithm")
    parameter_name = "algorithm"

    def values(self) -> Iterable[str]:
        return (*ALGORITHMS, SCRIPT)


class InstanceTypeFilter(KnownValuesFilter):
    title = gettext_lazy("instance type")
    parameter_name = "instance_type"

    def values(self) -> Iterable[str]:
        return (each.name for each in instance_type_list())


@admin.register(TrainingJob)
class TrainingJobAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "project",
        "algorithm",
        "status",
        "secondary_status",
        "instance_type",
        "attempt",
        "created_by",
        "created_at",
        "duration",
        "failure_kind",
    )
    list_filter = ("status", InstanceTypeFilter, AlgorithmFilter, "project", "created_at")
    ordering = ("-pk",)  # as they were created, over all projects, and of this there is an index
    search_fields = ("name", "uid", "created_by__username")
    list_select_related = ("project", "created_by")
    inlines = (TrainingInputInline, JobEventInline, MetricSummaryInline)
    actions = ("stop", "delete")
    fieldsets = (
        (
            None,
            {"fields": ("name", "project_link", "arn", "created_by", "created_at", "cloned_from", "tags")},
        ),
        (
            gettext_lazy("State"),
            {
                "fields": (
                    "status",
                    "secondary_status",
                    "waiting",
                    "progress",
                    "attempt",
                    "lease",
                    "stop_requested_at",
                    "started_at",
                    "ended_at",
                    "billable_s",
                    "failure_shown",
                )
            },
        ),
        (
            gettext_lazy("Request"),
            {
                "fields": (
                    "algorithm",
                    "hyperparameters",
                    "instance_type",
                    "queue",
                    "max_runtime_s",
                    "metric_definitions",
                    "environment_names",
                )
            },
        ),
        (
            gettext_lazy("Result"),
            {"fields": ("final_metrics", "artifact_uri", "artifact_size", "artifact_sha256")},
        ),
        (gettext_lazy("Log"), {"fields": ("log_end",)}),
    )

    @admin.display(description=gettext_lazy("duration"))
    def duration(self, row: TrainingJob) -> str:
        if row.started_at is None:
            return "-"
        seconds = int(((row.ended_at or clock.now()) - row.started_at).total_seconds())
        return str(timedelta(seconds=seconds))

    @admin.display(description=gettext_lazy("cause of failure"))
    def failure_kind(self, row: TrainingJob) -> str:
        return str(row.failure["kind"]) if row.failure else "-"

    @admin.display(description=gettext_lazy("project"))
    def project_link(self, row: TrainingJob) -> str:
        return admin_link(row.project)

    @admin.display(description=gettext_lazy("why it waits"))
    def waiting(self, row: TrainingJob) -> str:
        return training_job_waiting_reason(job=row) or "-"

    @admin.display(description=gettext_lazy("lease"))
    def lease(self, row: TrainingJob) -> str:
        if not row.lease_owner or row.lease_expires_at is None:
            return "-"
        remaining_s = (row.lease_expires_at - clock.now()).total_seconds()
        return _("%(owner)s, %(seconds)d s left") % {"owner": row.lease_owner, "seconds": remaining_s}

    @admin.display(description=gettext_lazy("environment variables"))
    def environment_names(self, row: TrainingJob) -> str:
        """Names only: a value may be somebody's secret."""
        return ", ".join(sorted(row.environment)) or "-"

    @admin.display(description=gettext_lazy("artifact size"))
    def artifact_size(self, row: TrainingJob) -> str:
        return filesizeformat(row.artifact_bytes) if row.artifact_bytes is not None else "-"

    @admin.display(description=gettext_lazy("failure"))
    def failure_shown(self, row: TrainingJob) -> str:
        if not row.failure:
            return "-"
        shown = {name: value for name, value in row.failure.items() if name != "said"}
        shown["reason"] = translated(row.failure_said)
        return _block(json.dumps(shown, ensure_ascii=False, indent=1))

    @admin.display(description=gettext_lazy("last lines"))
    def log_end(self, row: TrainingJob) -> str:
        return _block(log_tail(stream=row.log, n_lines=50).text) if row.log.n_lines else "-"

    @admin.action(description=gettext_lazy("Stop the chosen training jobs"), permissions=["operate"])
    def stop(self, request: HttpRequest, queryset: QuerySet[TrainingJob]) -> None:
        def act(job: TrainingJob) -> None:
            training_job_stop(actor=operator_actor(request, job.project), name=job.name)

        self.each(request, queryset.select_related("project"), act, _("Stopping"))

    @admin.action(description=gettext_lazy("Delete the chosen training jobs"), permissions=["operate"])
    def delete(self, request: HttpRequest, queryset: QuerySet[TrainingJob]) -> None:
        def act(job: TrainingJob) -> None:
            training_job_delete(actor=operator_actor(request, job.project), name=job.name)

        self.each(request, queryset.select_related("project"), act, _("Deleted"))

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.change_trainingjob")


@admin.register(Dataset)
class DatasetAdmin(ReadOnlyAdmin):
    list_display = ("name", "project", "version", "rows", "size", "created_by", "updated_at")
    list_filter = ("project", "created_at")
    search_fields = ("name", "description", "created_by__username")
    list_select_related = ("project", "created_by", "latest")
    exclude = ("latest",)
    inlines = (DatasetVersionInline,)

    @admin.display(description=gettext_lazy("version"))
    def version(self, row: Dataset) -> int | str:
        return row.latest.number if row.latest else "-"

    @admin.display(description=gettext_lazy("rows"))
    def rows(self, row: Dataset) -> int | str:
        return row.latest.n_rows if row.latest else "-"

    @admin.display(description=gettext_lazy("size"))
    def size(self, row: Dataset) -> str:
        return filesizeformat(row.latest.size_bytes) if row.latest else "-"


@admin.register(DatasetVersion)
class DatasetVersionAdmin(ReadOnlyAdmin):
    list_display = (
        "dataset_link",
        "number",
        "filename",
        "n_rows",
        "n_columns",
        "size",
        "source",
        "created_at",
    )
    list_filter = ("source", "created_at")
    search_fields = ("dataset__name", "filename", "sha256", "uid")
    list_select_related = ("dataset",)

    @admin.display(description=gettext_lazy("dataset"), ordering="dataset__name")
    def dataset_link(self, row: DatasetVersion) -> str:
        return admin_link(row.dataset)

    @admin.display(description=gettext_lazy("size"))
    def size(self, row: DatasetVersion) -> str:
        return filesizeformat(row.size_bytes)


class TuningTrialInline(ReadOnlyTable):
    model = TuningTrial
    fk_name = "tuning_job"
    fields = ("number", "status", "value", "job_name", "explanation_shown", "started_at", "ended_at")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[TuningTrial]:
        """Without the steps, which may be long."""
        found: QuerySet[TuningTrial] = super().get_queryset(request).defer("steps")
        return found

    @admin.display(description=gettext_lazy("explanation"))
    def explanation_shown(self, row: TuningTrial) -> str:
        return translated(row.explanation)


@admin.register(TuningJob)
class TuningJobAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "project",
        "strategy",
        "algorithm",
        "objective_metric",
        "status",
        "reason",
        "created_by",
        "created_at",
        "ended_at",
    )
    list_filter = ("status", "strategy", AlgorithmFilter, "project", "created_at")
    search_fields = ("name", "uid", "created_by__username")
    list_select_related = ("project", "created_by")
    exclude = ("environment", "warm_trials")
    inlines = (TuningTrialInline,)
    actions = ("stop_tuning_jobs",)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Its actions are for operators who have Django's permission to delete such rows."""
        return request.user.has_perm(f"{self.opts.app_label}.delete_{self.opts.model_name}")

    @admin.display(description=gettext_lazy("reason"))
    def reason(self, row: TuningJob) -> str:
        """Why it failed or ended, or waits."""
        return translated(row.failure or row.ended_because or row.waiting)

    @admin.action(permissions=["operate"], description=gettext_lazy("Stop tuning jobs"))
    def stop_tuning_jobs(self, request: HttpRequest, queryset: QuerySet[TuningJob]) -> None:
        def act(job: TuningJob) -> None:
            tuning_job_stop(actor=operator_actor(request, job.project), name=job.name)

        self.each(request, queryset.select_related("project"), act, _("Tuning jobs being stopped"))


@admin.register(TuningTrial)
class TuningTrialAdmin(ReadOnlyAdmin):
    list_display = ("tuning_job", "number", "status", "value", "job_name", "explanation_shown", "ended_at")
    list_filter = ("status",)
    list_select_related = ("tuning_job",)
    search_fields = ("tuning_job__name", "job_name")

    @admin.display(description=gettext_lazy("explanation"))
    def explanation_shown(self, row: TuningTrial) -> str:
        return translated(row.explanation)


def _block(text: str) -> str:
    return format_html("<pre>{}</pre>", text)
