"""Tables of results: how they are asked for and what they are as JSON."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from mlplatform.api.fields import Answer, OneOfField, StrictSerializer
from mlplatform.api.serializers.algorithms import ScalarOrNull


class ResultTableQuery(StrictSerializer):
    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """`as` is a word of the language, and no name in a class."""
        form = OneOfField(choices=["json", "csv"], default="json", help_text="csv: a file, marks left out.")
        return {**super().get_fields(), "as": form}


class ResultColumn(Answer):
    key = serializers.CharField(help_text="Its name in `rows`.")
    unit = serializers.CharField(allow_null=True)


class ResultMark(Answer):
    row = serializers.IntegerField(help_text="From 0.")
    column = serializers.CharField()
    mark = serializers.CharField()


class ResultTable(Answer):
    columns = ResultColumn(many=True)
    rows = serializers.ListField(child=serializers.DictField(child=ScalarOrNull()))
    marks = ResultMark(
        many=True, help_text="`best`: the best value, or near it; `slow`: far above the median."
    )
