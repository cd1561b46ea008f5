"""The neighbours of a row, as an endpoint that serves a k-NN model finds them."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from mlplatform.api.fields import Answer, NameField, StrictSerializer, TextField, WholeNumberField
from mlplatform.api.serializers.algorithms import ScalarOrNull
from mlplatform.api.serializers.tables import CellsField

FEATURES_MAX = 10_000


@extend_schema_field(
    {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 1, "maxItems": FEATURES_MAX}
)
class FeaturesField(serializers.ListField):
    """Cells of one row: numbers, or texts as a CSV has them."""

    default_error_messages = {"not_cell": _("{value} is neither a number nor a text")}

    def to_internal_value(self, data: Any) -> list[Any]:
        values = super().to_internal_value(data)
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                self.fail("not_cell", value=repr(value)[:80])
        return list(values)


class NeighboursRequest(StrictSerializer):
    """Exactly one of `row` and `dataset`."""

    row = FeaturesField(
        required=False,
        min_length=1,
        max_length=FEATURES_MAX,
        help_text="Features in the model's order, without the label.",
    )
    dataset = TextField(
        required=False, max_length=80, help_text="Name of a dataset, `name@3` for version 3; else the newest."
    )
    row_number = WholeNumberField(
        required=False, min_value=1, max_value=2**53, help_text="Which row of the dataset, from 1."
    )
    variant = NameField(
        required=False, help_text="Which variant is asked; else the first that is a k-NN model."
    )


class NeighbourQuery(Answer):
    dataset = serializers.CharField(allow_null=True, help_text="`name@version`.")
    row_number = serializers.IntegerField(allow_null=True)
    features = CellsField()
    label: Any = serializers.CharField(allow_null=True, help_text="The true one, where the dataset has it.")


class Neighbour(Answer):
    rank = serializers.IntegerField(help_text="1 is the nearest.")
    distance = serializers.FloatField(help_text="As the model measures it; squared for L2.")
    label: Any = serializers.CharField()
    row = serializers.IntegerField(allow_null=True, help_text="Its number in the training data, from 1.")
    features = CellsField(allow_null=True)


class NeighbourVote(Answer):
    k = serializers.IntegerField()
    prediction = ScalarOrNull(help_text="The winning label; of a regressor the mean.")
    n_votes = serializers.IntegerField(allow_null=True, help_text="For the winning label.")
    n_true = serializers.IntegerField(allow_null=True, help_text="For the true label.")


class Neighbours(Answer):
    endpoint = serializers.CharField()
    variant = serializers.CharField()
    model = serializers.CharField()
    predicted = serializers.CharField(help_text="The endpoint's own answer, of all its neighbours.")
    query = NeighbourQuery()
    feature_names = serializers.ListField(child=serializers.CharField())
    training_data = serializers.CharField(
        allow_null=True, help_text="The dataset version that `row` counts in."
    )
    neighbours = Neighbour(many=True)
    votes = NeighbourVote(many=True, help_text="The answer for every k from 1 to the model's own.")
    note = serializers.CharField(allow_null=True, help_text="Why rows or their features are not there.")
