"""Logs: which part of one, and what is answered."""

from __future__ import annotations

from rest_framework import serializers

from mlplatform.api.fields import Answer, QueryNumberField, StrictSerializer

TAIL_LINES_MAX = 2000


class LogQuery(StrictSerializer):
    after = QueryNumberField(
        min_value=0,
        max_value=2**53,
        default=0,
        help_text="Offset to read on from: `next` of the answer before.",
    )
    limit_bytes = QueryNumberField(
        min_value=1,
        max_value=1024 * 1024,
        default=256 * 1024,
        help_text="About how much; whole lines are given.",
    )
    tail = QueryNumberField(
        min_value=0,
        max_value=TAIL_LINES_MAX,
        default=0,
        help_text="So many of the last lines, instead of those from an offset. 0: from the offset.",
    )


class Log(Answer):
    text = serializers.CharField(allow_blank=True)
    next = serializers.IntegerField(help_text="Offset after the text.")
    end = serializers.BooleanField(help_text="The process has ended and nothing follows.")
    first_line = serializers.IntegerField(help_text="Number of the first line, from 1.")
    times = serializers.ListField(
        child=serializers.IntegerField(), help_text="Per line, milliseconds since the epoch."
    )
    truncated = serializers.BooleanField(help_text="The log reached its limit and lines were left out.")
    removed_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When all lines were removed, because they had been kept long enough; `next` stays.",
    )


class LogStreamQuery(StrictSerializer):
    after = QueryNumberField(
        min_value=0,
        max_value=2**53,
        default=0,
        help_text="Offset to begin at; `Last-Event-ID` goes before it.",
    )
