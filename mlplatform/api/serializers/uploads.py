"""Resumable uploads: answers, and the names of the headers of the protocol."""

from __future__ import annotations

from rest_framework import serializers

from mlplatform.api.fields import Answer

LENGTH = "Upload-Length"
OFFSET = "Upload-Offset"
METADATA = "Upload-Metadata"
EXPIRES = "Upload-Expires"
VERSION = "Tus-Resumable"


class ResumableUpload(Answer):
    id = serializers.CharField()
    filename = serializers.CharField(allow_blank=True)
    length_bytes = serializers.IntegerField(help_text="Of the whole.")
    offset_bytes = serializers.IntegerField(help_text="How many have come, and where it goes on.")
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(help_text="When it goes if nothing more comes.")
