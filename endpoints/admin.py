"""The operations console of this room: read-mostly, and what can be done goes through services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Model as DjangoModel
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from endpoints.models import Endpoint, EndpointConfig, Model, ProductionVariant, Replica, TableRun
from endpoints.services.endpoints import endpoint_delete
from endpoints.services.models import model_delete
from mlplatform.core.access import Actor
from mlplatform.core.errors import PlatformError
from mlplatform.core.models import Role

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
    _TabularInline = admin.TabularInline[Any, Any]
else:
    _ModelAdmin, _TabularInline = admin.ModelAdmin, admin.TabularInline


class ReadOnlyAdmin(_ModelAdmin):
    """Shows everything, changes nothing: rows are changed by services only."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: DjangoModel | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: DjangoModel | None = None) -> bool:
        return False

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Actions are for operators who may delete such rows."""
        return request.user.has_perm(f"{self.opts.app_label}.delete_{self.opts.model_name}")


class ReadOnlyInline(_TabularInline):
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: DjangoModel | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: DjangoModel | None = None) -> bool:
        return False


class VariantInline(ReadOnlyInline):
    model = ProductionVariant
    fields = ("name", "model", "instance_type", "instance_count", "weight")


class ReplicaInline(ReadOnlyInline):
    model = Replica
    fields = ("uid", "variant", "index", "status", "host", "pid", "restarts", "ready_at")


@admin.register(Model)
class ModelAdmin(ReadOnlyAdmin):
    list_display = ("name", "project", "algorithm", "training_job", "artifact_bytes", "created_by", "created_at")
    list_filter = ("algorithm", "project")
    list_select_related = ("project", "training_job", "created_by")
    search_fields = ("name", "uid", "artifact_uri")
    actions = ("delete_models",)

    @admin.action(permissions=["operate"], description=gettext_lazy("Delete models that no endpoint uses"))
    def delete_models(self, request: HttpRequest, queryset: QuerySet[Model]) -> None:
        for model in queryset.select_related("project"):
            _report(request, model.name, lambda m=model: model_delete(actor=_actor(request, m), name=m.name))


@admin.register(EndpointConfig)
class EndpointConfigAdmin(ReadOnlyAdmin):
    list_display = ("name", "project", "created_by", "created_at")
    list_select_related = ("project", "created_by")
    search_fields = ("name",)
    inlines = (VariantInline,)


@admin.register(ProductionVariant)
class ProductionVariantAdmin(ReadOnlyAdmin):
    list_display = ("name", "config", "model", "instance_type", "instance_count", "weight")
    list_select_related = ("config", "model")
    search_fields = ("name", "config__name", "model__name")


@admin.register(Endpoint)
class EndpointAdmin(ReadOnlyAdmin):
    list_display = ("name", "project", "status", "failure_reason", "created_by", "created_at", "in_service_at")
    list_filter = ("status", "project")
    list_select_related = ("project", "created_by")
    search_fields = ("name", "uid")
    inlines = (ReplicaInline,)
    actions = ("delete_endpoints",)

    @admin.action(permissions=["operate"], description=gettext_lazy("Delete endpoints and end their model servers"))
    def delete_endpoints(self, request: HttpRequest, queryset: QuerySet[Endpoint]) -> None:
        for endpoint in queryset.select_related("project"):
            _report(
                request, endpoint.name, lambda e=endpoint: endpoint_delete(actor=_actor(request, e), name=e.name)
            )


@admin.register(Replica)
class ReplicaAdmin(ReadOnlyAdmin):
    list_display = ("uid", "endpoint", "variant", "index", "status", "host", "pid", "restarts", "memory_bytes")
    list_filter = ("status", "host")
    list_select_related = ("endpoint", "variant")
    search_fields = ("uid", "endpoint__name")


@admin.register(TableRun)
class TableRunAdmin(ReadOnlyAdmin):
    list_display = ("uid", "endpoint", "dataset_version", "status", "n_done", "n_rows", "created_by", "created_at")
    list_filter = ("status",)
    list_select_related = ("endpoint", "dataset_version__dataset", "created_by")
    search_fields = ("uid", "endpoint__name")


def _actor(request: HttpRequest, row: Any) -> Actor:
    """An operator of the console acts with full rights in the row's project."""
    return Actor(user=request.user, project=row.project, role=Role.ADMIN)  # type: ignore[arg-type]


def _report(request: HttpRequest, name: str, action: Any) -> None:
    try:
        action()
        messages.success(request, _("%(name)s: done.") % {"name": name})
    except PlatformError as error:
        messages.error(request, f"{name}: {error.message}")
