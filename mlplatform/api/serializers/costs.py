"""Prices and costs: how they are asked for and what they are."""

from __future__ import annotations

from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from endpoints.selectors.costs import Spender
from jobs.pricing import DIGITS_MAX
from jobs.selectors.together import SEPARATE_MAX
from mlplatform.api.fields import Answer, StrictSerializer, TextField
from mlplatform.api.serializers.result_tables import ResultTableQuery
from mlplatform.core.names import NAME_MAX_LENGTH


class Cost(Answer):
    seconds = serializers.FloatField(
        help_text="That are billed: of every instance, or of work where nobody waits."
    )
    amount = serializers.FloatField(allow_null=True, help_text="null where prices of several currencies mix.")
    currency = serializers.CharField(help_text="ISO 4217; empty where several mix.")


class PriceSheet(Answer):
    currency = serializers.CharField()
    prices = serializers.DictField(
        child=serializers.CharField(),
        help_text="Instance type to the price of an hour; `serverless` to that of a gigabyte of memory for a second.",
    )
    changed = serializers.ListField(
        child=serializers.CharField(), help_text="The items whose price is not the one that is shipped."
    )
    note = serializers.CharField()
    created_at = serializers.DateTimeField(allow_null=True, help_text="null while the shipped prices hold.")
    created_by = serializers.CharField(allow_null=True)


@extend_schema_field({"oneOf": [{"type": "number", "minimum": 0}, {"type": "string"}]})
class PriceField(serializers.Field[Any, Any, Any, Any]):
    """A price as text or as a number; what is one, the service says."""

    def to_internal_value(self, data: Any) -> str:
        return str(data)

    def to_representation(self, value: Any) -> str:
        return str(value)


class PriceSheetRequest(StrictSerializer):
    currency = TextField(max_length=20, default="USD", help_text="Three letters of ISO 4217.")
    prices = serializers.DictField(
        child=PriceField(),
        help_text=f"Item to price, at most {DIGITS_MAX} digits after the point; items left out cost what is shipped.",
    )
    note = TextField(max_length=200, default="", allow_blank=True)


class CostsQuery(ResultTableQuery):
    since = serializers.DateField(required=False, help_text="First day, UTC; 30 days back by default.")
    until = serializers.DateField(required=False, help_text="Last day, UTC; today by default.")


class Spent(Answer):
    kind = serializers.ChoiceField(choices=[kind.value for kind in Spender])
    name = serializers.CharField()
    detail = serializers.CharField(help_text="Its instance types, or `serverless`.")
    n = serializers.IntegerField(help_text="Of how many jobs or replicas.")
    exists = serializers.BooleanField()
    cost = Cost()
    last_at = serializers.DateTimeField()


class Costs(Answer):
    since = serializers.DateTimeField()
    until = serializers.DateTimeField(help_text="Before this.")
    total = Cost()
    by_kind = serializers.DictField(child=Cost())
    days = serializers.ListField(child=serializers.DictField(), help_text="`day`, and an amount per kind.")
    n_spent = serializers.IntegerField(help_text="How many there are.")
    spent = Spent(many=True, help_text="The dearest of them, at most a thousand.")


class TogetherQuery(StrictSerializer):
    repeated: ClassVar[frozenset[str]] = frozenset({"separate"})

    job = serializers.CharField(
        max_length=NAME_MAX_LENGTH, help_text="The job that did the work of the others."
    )
    separate = serializers.ListField(
        child=serializers.CharField(max_length=NAME_MAX_LENGTH),
        max_length=2 * SEPARATE_MAX,
        help_text="Name of a job that did a part of it; given once for each.",
    )


class JobSpent(Answer):
    job = serializers.CharField()
    algorithm = serializers.CharField()
    run_s = serializers.FloatField()
    input_bytes = serializers.IntegerField(allow_null=True)
    cost = Cost()


class SeparateSum(Answer):
    run_s = serializers.FloatField()
    input_bytes = serializers.IntegerField(allow_null=True)
    cost = Cost()


class Together(Answer):
    one = JobSpent()
    separate = JobSpent(many=True)
    sum = SeparateSum()
    ratio = serializers.DictField(
        child=serializers.FloatField(allow_null=True),
        help_text="`time`, `bytes`, `cost`: the one by the sum.",
    )
