"""The operations console of this room: read-mostly, and what can be done goes through services."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from endpoints.models import (
    AsyncInvocation,
    CapturedFile,
    DataCapture,
    Endpoint,
    EndpointConfig,
    Evaluation,
    Experiment,
    ExperimentCell,
    Model,
    ProductionVariant,
    Replica,
    TableRun,
    TransformJob,
)
from endpoints.services.endpoints import endpoint_delete
from endpoints.services.evaluations import evaluation_stop
from endpoints.services.experiments import experiment_stop
from endpoints.services.models import model_delete
from endpoints.services.transforms import transform_job_stop
from mlplatform.core.admin import ReadOnlyAdmin, ReadOnlyTable, operator_actor
from mlplatform.core.translation import translated


class OperatedAdmin(ReadOnlyAdmin):
    """Its actions are for operators who have Django's permission to delete such rows."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(f"{self.opts.app_label}.delete_{self.opts.model_name}")


class VariantTable(ReadOnlyTable):
    model = ProductionVariant
    fields = ("name", "model", "placed_on", "instance_count", "idle_after_s", "n_wanted", "weight")
    readonly_fields = fields


class ReplicaTable(ReadOnlyTable):
    model = Replica
    fields = ("uid", "variant", "index", "status", "host", "pid", "restarts", "ready_at")


@admin.register(Model)
class ModelAdmin(OperatedAdmin):
    list_display = (
        "name",
        "project",
        "algorithm",
        "training_job",
        "artifact_bytes",
        "created_by",
        "created_at",
    )
    list_filter = ("algorithm", "project")
    list_select_related = ("project", "training_job", "created_by")
    search_fields = ("name", "uid", "artifact_uri")
    exclude = ("environment",)
    readonly_fields = ("environment_names",)
    actions = ("delete_models",)

    @admin.display(description=gettext_lazy("environment variables"))
    def environment_names(self, row: Model) -> str:
        """Names only: a value may be somebody's secret."""
        return ", ".join(sorted(row.environment)) or "-"

    @admin.action(permissions=["operate"], description=gettext_lazy("Delete models that no endpoint uses"))
    def delete_models(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        def act(model: Model) -> None:
            model_delete(actor=operator_actor(request, model.project), name=model.name)

        self.each(request, queryset.select_related("project"), act, _("Models deleted"))


@admin.register(EndpointConfig)
class EndpointConfigAdmin(ReadOnlyAdmin):
    list_display = ("name", "project", "created_by", "created_at")
    list_select_related = ("project", "created_by")
    search_fields = ("name",)
    inlines = (VariantTable,)


@admin.register(ProductionVariant)
class ProductionVariantAdmin(ReadOnlyAdmin):
    list_display = ("name", "config", "model", "placed_on", "instance_count", "idle_after_s", "weight")
    list_select_related = ("config", "model")
    search_fields = ("name", "config__name", "model__name")


@admin.register(Endpoint)
class EndpointAdmin(OperatedAdmin):
    list_display = (
        "name",
        "project",
        "status",
        "failure_shown",
        "created_by",
        "created_at",
        "in_service_at",
    )
    list_filter = ("status", "project")
    list_select_related = ("project", "created_by")
    search_fields = ("name", "uid")
    inlines = (ReplicaTable,)
    actions = ("delete_endpoints",)

    @admin.display(description=gettext_lazy("failure reason"))
    def failure_shown(self, row: Endpoint) -> str:
        return translated(row.failure_reason)

    @admin.action(
        permissions=["operate"], description=gettext_lazy("Delete endpoints, end their model servers")
    )
    def delete_endpoints(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        def act(endpoint: Endpoint) -> None:
            endpoint_delete(actor=operator_actor(request, endpoint.project), name=endpoint.name)

        self.each(request, queryset.select_related("project"), act, _("Endpoints being deleted"))


@admin.register(Replica)
class ReplicaAdmin(ReadOnlyAdmin):
    list_display = (
        "uid",
        "endpoint",
        "variant",
        "index",
        "status",
        "host",
        "pid",
        "restarts",
        "memory_bytes",
    )
    list_filter = ("status", "host")
    list_select_related = ("endpoint", "variant")
    search_fields = ("uid", "endpoint__name")


@admin.register(TableRun)
class TableRunAdmin(ReadOnlyAdmin):
    list_display = (
        "uid",
        "endpoint",
        "dataset_version",
        "status",
        "n_done",
        "n_rows",
        "created_by",
        "created_at",
    )
    list_filter = ("status",)
    list_select_related = ("endpoint", "dataset_version__dataset", "created_by")
    search_fields = ("uid", "endpoint__name")


@admin.register(Evaluation)
class EvaluationAdmin(OperatedAdmin):
    list_display = (
        "name",
        "project",
        "endpoint_name",
        "dataset_reference",
        "status",
        "attempt",
        "failure_shown",
        "created_by",
        "created_at",
        "ended_at",
    )
    list_filter = ("status", "project")
    list_select_related = ("project", "created_by")
    search_fields = ("name", "uid", "endpoint_name", "dataset_reference")
    exclude = ("result",)
    actions = ("stop_evaluations",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Evaluation]:
        """Without the results, which may have megabytes each."""
        found: QuerySet[Evaluation] = super().get_queryset(request).defer("result")
        return found

    @admin.display(description=gettext_lazy("failure reason"))
    def failure_shown(self, row: Evaluation) -> str:
        return translated(row.failure)

    @admin.action(permissions=["operate"], description=gettext_lazy("Stop evaluations"))
    def stop_evaluations(self, request: HttpRequest, queryset: QuerySet[Evaluation]) -> None:
        def act(evaluation: Evaluation) -> None:
            evaluation_stop(actor=operator_actor(request, evaluation.project), name=evaluation.name)

        self.each(request, queryset.select_related("project"), act, _("Evaluations being stopped"))


class CellTable(ReadOnlyTable):
    model = ExperimentCell
    fields = (
        "position",
        "configuration",
        "sample_size",
        "instance_type",
        "status",
        "attempt",
        "training_job",
        "endpoint",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ExperimentCell]:
        found: QuerySet[ExperimentCell] = super().get_queryset(request)
        return found.select_related("training_job", "endpoint")


@admin.register(Experiment)
class ExperimentAdmin(OperatedAdmin):
    list_display = (
        "name",
        "project",
        "preset",
        "algorithm",
        "train_reference",
        "test_reference",
        "status",
        "created_by",
        "created_at",
        "ended_at",
    )
    list_filter = ("status", "project")
    list_select_related = ("project", "created_by")
    search_fields = ("name", "uid", "train_reference", "test_reference")
    inlines = (CellTable,)
    actions = ("stop_experiments",)

    @admin.action(permissions=["operate"], description=gettext_lazy("Stop experiments"))
    def stop_experiments(self, request: HttpRequest, queryset: QuerySet[Experiment]) -> None:
        def act(experiment: Experiment) -> None:
            experiment_stop(actor=operator_actor(request, experiment.project), name=experiment.name)

        self.each(request, queryset.select_related("project"), act, _("Experiments being stopped"))


@admin.register(ExperimentCell)
class ExperimentCellAdmin(ReadOnlyAdmin):
    list_display = (
        "experiment",
        "position",
        "configuration",
        "sample_size",
        "instance_type",
        "status",
        "attempt",
        "reason",
    )
    list_filter = ("status", "instance_type")
    list_select_related = ("experiment",)
    search_fields = ("experiment__name", "configuration")

    @admin.display(description=gettext_lazy("reason"))
    def reason(self, row: ExperimentCell) -> str:
        """Why it failed, or waits."""
        return translated(row.failure or row.waiting)


@admin.register(TransformJob)
class TransformJobAdmin(OperatedAdmin):
    list_display = (
        "name",
        "project",
        "model",
        "dataset_reference",
        "instance_type",
        "status",
        "attempt",
        "created_by",
        "created_at",
        "ended_at",
    )
    list_filter = ("status", "project")
    list_select_related = ("project", "model", "created_by")
    search_fields = ("name", "uid", "dataset_reference", "uri")
    exclude = ("environment",)
    readonly_fields = ("environment_names",)
    actions = ("stop_transform_jobs",)

    @admin.display(description=gettext_lazy("environment variables"))
    def environment_names(self, row: TransformJob) -> str:
        """Names only: a value may be somebody's secret."""
        return ", ".join(sorted(row.environment)) or "-"

    @admin.action(permissions=["operate"], description=gettext_lazy("Stop transform jobs"))
    def stop_transform_jobs(self, request: HttpRequest, queryset: QuerySet[TransformJob]) -> None:
        def act(job: TransformJob) -> None:
            transform_job_stop(actor=operator_actor(request, job.project), name=job.name)

        self.each(request, queryset.select_related("project"), act, _("Transform jobs being stopped"))


@admin.register(AsyncInvocation)
class AsyncInvocationAdmin(ReadOnlyAdmin):
    list_display = (
        "inference_id",
        "endpoint",
        "status",
        "attempt",
        "input_bytes",
        "output_bytes",
        "created_by",
        "created_at",
        "started_at",
        "ended_at",
    )
    list_filter = ("status",)
    list_select_related = ("endpoint", "created_by")
    search_fields = ("inference_id", "uid", "endpoint__name")


@admin.register(DataCapture)
class DataCaptureAdmin(ReadOnlyAdmin):
    list_display = (
        "endpoint",
        "is_on",
        "status",
        "sampling_percent",
        "destination",
        "problem_shown",
        "n_dropped",
        "changed_by",
        "changed_at",
    )
    list_filter = ("is_on",)
    list_select_related = ("endpoint", "changed_by")
    search_fields = ("endpoint__name", "destination")

    @admin.display(description=gettext_lazy("problem"))
    def problem_shown(self, row: DataCapture) -> str:
        return translated(row.problem_words)


@admin.register(CapturedFile)
class CapturedFileAdmin(ReadOnlyAdmin):
    list_display = ("uri", "endpoint_name", "project", "variant", "hour", "n_records", "size_bytes")
    list_filter = ("project",)
    list_select_related = ("project",)
    search_fields = ("endpoint_name", "uri", "uid")
