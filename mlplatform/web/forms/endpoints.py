"""The endpoint form: rows of variants ⇄ the requests of the service, whose rules are not repeated here."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from endpoints.models import ProductionVariant
from endpoints.services.endpoints import VariantRequest
from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.web.forms.training_jobs import folded

COLUMNS = ("name", "model", "instance_type", "instance_count", "weight")


@dataclass
class EndpointForm:
    """An endpoint as a person fills it in: texts until they are checked."""

    name: str = ""
    description: str = ""
    variants: list[dict[str, str]] = field(default_factory=list)

    @classmethod
    def from_post(cls, post: QueryDict) -> EndpointForm:
        columns = [post.getlist(f"variant.{column}") for column in COLUMNS]
        rows = [
            {column: folded(value) for column, value in zip(COLUMNS, values, strict=True)}
            for values in zip(*columns, strict=False)
        ]
        return cls(
            name=folded(post.get("name", "")),
            description=post.get("description", "").strip(),
            variants=[row for row in rows if row["name"] or row["model"]],
        )

    @classmethod
    def from_variants(
        cls, variants: Iterable[ProductionVariant], *, name: str, description: str
    ) -> EndpointForm:
        return cls(
            name=name,
            description=description,
            variants=[
                {
                    "name": variant.name,
                    "model": variant.model.name,
                    "instance_type": variant.instance_type,
                    "instance_count": str(variant.instance_count),
                    "weight": f"{variant.weight:g}",
                }
                for variant in variants
            ],
        )

    @classmethod
    def for_model(cls, model: str, *, name: str) -> EndpointForm:
        row = {
            "name": "AllTraffic",
            "model": model,
            "instance_type": "local.cpu",
            "instance_count": "1",
            "weight": "1",
        }
        return cls(name=name, variants=[row])

    def variant_requests(self) -> list[VariantRequest]:
        """Raises InvalidRequest with one entry for each cell that is not a number."""
        errors: list[FieldError] = []
        requests = [
            VariantRequest(
                name=row["name"],
                model=row["model"],
                instance_type=row["instance_type"],
                instance_count=int(_number(row, "instance_count", number, errors, whole=True)),
                weight=_number(row, "weight", number, errors),
            )
            for number, row in enumerate(self.variants)
        ]
        if errors:
            raise InvalidRequest.for_fields(errors)
        return requests

    def api_call(self, *, base_url: str, project: str) -> str:
        """The same endpoint as a curl command."""
        numbers = ("instance_count", "weight")
        body: dict[str, Any] = {
            "name": self.name,
            "variants": [row | {name: _plain(row[name]) for name in numbers} for row in self.variants],
        }
        if self.description:
            body["description"] = self.description
        return (
            f"curl -X POST {base_url}/api/v1/projects/{project}/endpoints/ \\\n"
            '  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n'
            f"  -d {shlex.quote(json.dumps(body, indent=2, ensure_ascii=False))}"
        )


def weights_from_post(post: QueryDict) -> tuple[dict[str, float], dict[str, int]]:
    """The weights and counts by variant. Raises InvalidRequest."""
    errors: list[FieldError] = []
    weights: dict[str, float] = {}
    counts: dict[str, int] = {}
    rows = zip(
        post.getlist("variant.name"),
        post.getlist("variant.weight"),
        post.getlist("variant.instance_count"),
        strict=False,
    )
    for number, (name, weight, count) in enumerate(rows):
        row = {"weight": folded(weight), "instance_count": folded(count)}
        weights[name] = _number(row, "weight", number, errors)
        counts[name] = int(_number(row, "instance_count", number, errors, whole=True))
    if errors:
        raise InvalidRequest.for_fields(errors)
    return weights, counts


def _number(
    row: dict[str, str], column: str, number: int, errors: list[FieldError], *, whole: bool = False
) -> float:
    try:
        return int(row[column]) if whole else _finite(row[column])
    except ValueError:
        accepted = "a whole number" if whole else "a number"
        errors.append(FieldError(f"variants.{number}.{column}", f"{row[column][:40]!r} is not {accepted}"))
        return 0


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
