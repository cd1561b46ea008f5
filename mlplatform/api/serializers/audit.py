"""The audit log."""

from __future__ import annotations

from datetime import UTC, datetime

from rest_framework import serializers

from mlplatform.api.fields import Answer, OneOfField
from mlplatform.api.serializers.lists import ListQuery, order_field
from mlplatform.core.audit.record import Face
from mlplatform.core.models import AuditOutcome

_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class InstantField(serializers.DateTimeField):
    """An instant; without a zone, in UTC. Where no event can be, all instants are one: no database has each of them."""

    def enforce_timezone(self, value: datetime) -> datetime:
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return _FIRST if aware.year < _FIRST.year else _LAST if aware.year >= _LAST.year else aware


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
