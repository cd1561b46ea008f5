"""The audit log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from mlplatform.api.fields import Answer, OneOfField
from mlplatform.api.serializers.lists import ListQuery, order_field
from mlplatform.core.audit import Face
from mlplatform.core.models import AuditOutcome

_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class InstantField(serializers.DateTimeField):
    """An instant of this or the next century; without a zone, in UTC."""

    default_error_messages = {"out_of_range": _("{value} is out of range; use a year from 2000 to 2199")}

    def to_internal_value(self, value: Any) -> datetime:
        found: datetime = super().to_internal_value(value)
        if not 2000 <= found.year < 2200 or not _FIRST <= found < _LAST:
            self.fail("out_of_range", value=str(value)[:40])
        return found


class AuditEventQuery(ListQuery):
    user = serializers.CharField(max_length=150, default="", allow_blank=True, help_text="User name.")
    action = serializers.CharField(
        max_length=60,
        default="",
        allow_blank=True,
        help_text="`training_job.create`, or `training_job` for all that is done to training jobs.",
    )
    outcome = OneOfField(choices=AuditOutcome.values, default="", allow_blank=True)
    since = InstantField(default=None, help_text="From this instant on.")
    until = InstantField(default=None, help_text="Before this instant.")
    search = serializers.CharField(
        allow_blank=True,
        max_length=100,
        default="",
        help_text="Part of the target or the user name; a whole address or request id.",
        trim_whitespace=False,
    )
    order = order_field("at")


class AuditEvent(Answer):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    action = serializers.CharField(help_text="`<entity>.<verb>`, as the operation that did it is called.")
    target = serializers.CharField(allow_blank=True, help_text="Name of what was acted on.")
    outcome = serializers.ChoiceField(choices=AuditOutcome.values)
    username = serializers.CharField(allow_blank=True)
    key_id = serializers.CharField(allow_blank=True, help_text="The access key that was used, if one was.")
    address = serializers.CharField(allow_null=True, help_text="The client's, as the gateway saw it.")
    face = serializers.ChoiceField(choices=[face.value for face in Face])
    request_id = serializers.CharField(allow_blank=True)
    detail = serializers.DictField(help_text="What was changed; never a secret.")
