"""Projects, members and access keys."""

from __future__ import annotations

from rest_framework import serializers

from mlplatform.api.fields import Answer, OneOfField, StrictSerializer, TextField
from mlplatform.core.models import Role


class Project(Answer):
    name = serializers.CharField()
    display_name = serializers.CharField(allow_blank=True)
    account_id = serializers.CharField(help_text="12 digits, used in ARNs.")
    role = serializers.ChoiceField(choices=Role.values, help_text="The caller's.")
    created_at = serializers.DateTimeField()


class Member(Answer):
    username = serializers.CharField()
    role = serializers.ChoiceField(choices=Role.values)
    created_at = serializers.DateTimeField()


class MemberRequest(StrictSerializer):
    role = OneOfField(choices=Role.values)


class AccessKeyRequest(StrictSerializer):
    description = TextField(allow_blank=True, max_length=200, default="")
    lifetime_s = serializers.IntegerField(
        min_value=60,
        max_value=10 * 366 * 86400,
        allow_null=True,
        default=None,
        help_text="Seconds until the key expires; null: never.",
    )


class AccessKey(Answer):
    key_id = serializers.CharField()
    username = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    status = serializers.ChoiceField(choices=["Active", "Expired", "Revoked"])
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class AccessKeyCreated(AccessKey):
    secret = serializers.CharField(
        allow_null=True, help_text="Shown this once; null when an idempotent request is repeated."
    )
    token = serializers.CharField(allow_null=True, help_text="What follows `Authorization: Bearer`.")
