"""The form of every list (items, cursor of the next page, how many in all) and the query of paged ones."""

from __future__ import annotations

from functools import cache
from typing import Any

from rest_framework import serializers

from mlplatform.api.fields import OneOfField, QueryNumberField, StrictSerializer
from mlplatform.core.pages import LIMIT_DEFAULT, LIMIT_MAX


class ListQuery(StrictSerializer):
    """Which part of a list."""

    limit = QueryNumberField(
        min_value=1, max_value=LIMIT_MAX, default=LIMIT_DEFAULT, help_text="How many at most."
    )
    cursor = serializers.CharField(
        required=False, max_length=1000, help_text="`next` of the page before.", default=None
    )
    search = serializers.CharField(
        allow_blank=True, max_length=100, default="", help_text="Part of the name.", trim_whitespace=False
    )


@cache
def listed(item: type[serializers.Serializer[Any]]) -> type[serializers.Serializer[Any]]:
    """The serializer of a list of `item`."""
    fields = {
        "items": item(many=True),
        "next": serializers.CharField(allow_null=True, help_text="Cursor of the next page; null at the end."),
        "count": serializers.IntegerField(min_value=0, help_text="How many match, on all pages."),
        "__doc__": "",
    }
    return type(f"{item.__name__}List", (serializers.Serializer,), fields)


def order_field(*names: str) -> OneOfField:
    """`?order=`: one of `names`, with a leading hyphen for descending; the first, descending, by default."""
    choices = [sign + name for name in names for sign in ("", "-")]
    return OneOfField(choices=choices, default=f"-{names[0]}", help_text="A leading hyphen: descending.")
