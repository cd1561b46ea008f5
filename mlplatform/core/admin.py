"""The operations console for the floor: projects, members, access keys, processes. Reading, mostly; no secret
is ever shown.

What changes something goes through a service. An operator (a user of the admin site) acts with an
administrator's role.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from mlplatform.core import clock
from mlplatform.core.audit.record import audit_record
from mlplatform.core.errors import PlatformError
from mlplatform.core.models import (
    AccessKey,
    AuditEvent,
    Membership,
    Node,
    ObjectTombstone,
    Project,
    Role,
    SignInThrottle,
    SweepState,
)
from mlplatform.core.nodes import ALIVE_S
from mlplatform.core.people.access import Actor, access_key_revoke
from mlplatform.core.people.throttle import throttle_unlock
from mlplatform.core.revisions import revision_bump

if TYPE_CHECKING:
    AnyAdmin = admin.ModelAdmin[Any]
    AnyTable = admin.TabularInline[Any, Any]
else:
    # Django's own classes take no type argument when the program runs.
    AnyAdmin = admin.ModelAdmin
    AnyTable = admin.TabularInline

admin.site.site_header = gettext_lazy("mlplatform operations")
admin.site.site_title = gettext_lazy("mlplatform")
admin.site.index_title = gettext_lazy("Operations console")


def operator_actor(request: HttpRequest, project: Project) -> Actor:
    """A user of the admin site as administrator of any project."""
    assert isinstance(request.user, User)
    return Actor(user=request.user, project=project, role=Role.ADMIN)


def admin_link(row: Model | None, text: str | None = None) -> str:
    """A link to the row's own admin page; a dash for none."""
    if row is None:
        return "-"
    options = row._meta
    url = reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', url, text or str(row))


class KnownValuesFilter(admin.SimpleListFilter):
    """By a column whose values are declared: the table is not read through for those that it has.

    A subclass gives `title`, `parameter_name` (the column's name), and `values`.
    """

    def values(self) -> Iterable[str]:
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: AnyAdmin) -> list[tuple[str, str]]:
        return [(value, value) for value in self.values()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(**{str(self.parameter_name): value}) if value else queryset


class AuditedAdmin(AnyAdmin):
    """What is changed in the console itself, and by no service, is in the audit log, in the same transaction."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        if request.method == "GET":
            return super().changelist_view(request, extra_context)
        with transaction.atomic():
            return super().changelist_view(request, extra_context)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self.audit(obj, "create", message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self.audit(obj, "update", message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for row in queryset:
            self.audit(row, "delete", "")
        return super().log_deletions(request, queryset)

    def audit(self, row: Model, verb: str, message: Any) -> None:
        """`message` is Django's list of what was changed: names of fields and of related rows, no values."""
        audit_record(
            action=f"{row._meta.model_name}.{verb}",
            target=str(row),
            project=row if isinstance(row, Project) else None,
            detail={"changes": message} if message else {},
        )


class ReadOnlyAdmin(AnyAdmin):
    """Everything is shown and nothing edited; services, by actions, are the only way to change something."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def each(self, request: HttpRequest, queryset: QuerySet[Any], act: Any, done: str) -> None:
        """Calls `act` for every row chosen and says how many succeeded and why others did not."""
        succeeded = 0
        for row in queryset:
            try:
                act(row)
                succeeded += 1
            except PlatformError as error:
                self.message_user(request, error.message, messages.ERROR)
        if succeeded:
            self.message_user(request, f"{done}: {succeeded}", messages.SUCCESS)


class ReadOnlyTable(AnyTable):
    """Rows below their parent, to be read only; each links to its own page."""

    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MembershipInline(AnyTable):
    model = Membership
    extra = 1
    autocomplete_fields = ("user",)


admin.site.unregister([User, Group])


@admin.register(User)
class PlatformUserAdmin(AuditedAdmin, UserAdmin):  # type: ignore[type-arg]
    """Django's own. `core.people.users` audits rows of users, whoever changes them; here are their rights."""

    def audit(self, row: Model, verb: str, message: Any) -> None:
        """Nothing more."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        rights = sorted({"groups", "user_permissions"}.intersection(form.changed_data))
        if rights:
            detail = {name: [str(one) for one in form.cleaned_data[name]] for name in rights}
            audit_record(action="user.set_rights", target=form.instance.username, detail=detail)


@admin.register(Group)
class PlatformGroupAdmin(AuditedAdmin, GroupAdmin):
    """Django's own."""


@admin.register(Project)
class ProjectAdmin(AuditedAdmin):
    """Operators add projects' members here; the name and the account id never change."""

    list_display = ("name", "display_name", "account_id", "n_members", "created_at")
    search_fields = ("name", "display_name", "account_id")
    readonly_fields = ("name", "account_id", "created_at")
    fields = ("name", "display_name", "account_id", "created_at")
    inlines = (MembershipInline,)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Project]:
        projects: QuerySet[Project] = super().get_queryset(request)
        return projects.annotate(_n_members=Count("memberships"))

    @admin.display(description=gettext_lazy("members"), ordering="_n_members")
    def n_members(self, row: Any) -> int:
        return int(row._n_members)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        # The gateway knows members by its table of keys, which it reads again when the revision changes.
        revision_bump()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:
        return False


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    list_display = ("project", "user", "role", "created_at")
    list_filter = ("role", "project")
    search_fields = ("user__username", "project__name")
    list_select_related = ("project", "user")


@admin.register(AccessKey)
class AccessKeyAdmin(ReadOnlyAdmin):
    list_display = ("key_id", "user", "project", "state", "description", "created_at", "last_used_at")
    list_filter = ("project", ("revoked_at", admin.EmptyFieldListFilter))
    search_fields = ("key_id", "user__username", "description")
    list_select_related = ("user", "project")
    fields = (
        "key_id",
        "user",
        "project",
        "description",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    )
    actions = ("revoke",)

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: AccessKey) -> str:
        if row.revoked_at:
            return _("revoked")
        return _("expired") if row.expires_at and row.expires_at < clock.now() else _("active")

    @admin.action(description=gettext_lazy("Revoke the chosen access keys"), permissions=["operate"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[AccessKey]) -> None:
        def act(key: AccessKey) -> None:
            access_key_revoke(actor=operator_actor(request, key.project), key_id=key.key_id)

        self.each(request, queryset.select_related("project"), act, _("Revoked"))

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("core.change_accesskey")


@admin.register(Node)
class NodeAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "state", "queues", "concurrency", "hostname", "pid", "version", "seen_at")
    list_filter = ("kind",)
    search_fields = ("name", "hostname")

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Node) -> str:
        silent_s = int((clock.now() - row.seen_at).total_seconds())
        if silent_s < ALIVE_S:
            return _("alive")
        return ngettext("silent for %(n)d second", "silent for %(n)d seconds", silent_s) % {"n": silent_s}


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Everybody's events, of all projects and of none."""

    list_display = (
        "at",
        "username",
        "action",
        "target",
        "outcome",
        "project_name",
        "face",
        "address",
        "key_id",
    )
    # No filter whose choices are looked for in all events, and no hierarchy of dates: both read the whole log.
    list_filter = ("outcome", "at")
    search_fields = ("username", "target", "address", "request_id", "key_id", "action", "project_name")


@admin.register(SignInThrottle)
class SignInThrottleAdmin(ReadOnlyAdmin):
    """Who is slowed down; an operator may lift it."""

    list_display = ("address", "username", "n_failures", "last_at", "blocked_until")
    search_fields = ("address", "username")
    exclude = ("subject",)
    actions = ("unlock",)

    @admin.action(description=gettext_lazy("Forget the failures of the chosen"), permissions=["operate"])
    def unlock(self, request: HttpRequest, queryset: QuerySet[SignInThrottle]) -> None:
        done = _("Unlocked")
        self.message_user(request, f"{done}: {throttle_unlock(chosen=queryset)}", messages.SUCCESS)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("core.delete_signinthrottle")


@admin.register(ObjectTombstone)
class ObjectTombstoneAdmin(ReadOnlyAdmin):
    """Objects that are deleted and still in the store; the scheduler deletes them, nobody here."""

    list_display = ("uri", "reason", "created_at", "n_tries", "due_at", "last_error")
    list_filter = ("reason", ("last_error", admin.EmptyFieldListFilter))
    search_fields = ("uri",)


@admin.register(SweepState)
class SweepStateAdmin(ReadOnlyAdmin):
    list_display = ("name", "ended_at", "n_done", "due_at", "error")
