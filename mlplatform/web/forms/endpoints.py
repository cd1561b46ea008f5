"""The endpoint form: rows of variants ⇄ the requests of the service, whose rules are not repeated here."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from django.http import QueryDict

from endpoints.elastic import IDLE_AFTER_S
from endpoints.models import ProductionVariant
from endpoints.services.endpoints import ServerlessRequest, VariantRequest
from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.web.forms.async_inference import AsyncForm
from mlplatform.web.forms.data_capture import NewCaptureForm
from mlplatform.web.forms.training_jobs import folded

INSTANCES, SERVERLESS = "instances", "serverless"
_ROW = {
    "name": "",
    "model": "",
    "capacity": INSTANCES,
    "instance_type": "local.cpu",
    "instance_count": "1",
    "memory_mb": "2048",
    "max_concurrency": "5",
    "idle_after_s": "",
    "weight": "1",
}
"""The cells of a variant; `capacity` says whether those of instances or of a serverless one hold."""
_OF_INSTANCES = ("instance_type", "instance_count", "idle_after_s")
_OF_SERVERLESS = ("memory_mb", "max_concurrency", "idle_after_s")
_NUMBERS = ("instance_count", "memory_mb", "max_concurrency", "idle_after_s", "weight")


@dataclass
class EndpointForm:
    """An endpoint as a person fills it in: texts until they are checked."""

    name: str = ""
    description: str = ""
    variants: list[dict[str, str]] = field(default_factory=list)
    asynchronous: AsyncForm = field(default_factory=AsyncForm)
    capture: NewCaptureForm = field(default_factory=NewCaptureForm)

    @classmethod
    def from_post(cls, post: QueryDict) -> EndpointForm:
        return cls(
            name=folded(post.get("name", "")),
            description=post.get("description", "").strip(),
            variants=[row for row in _rows(post) if row["name"] or row["model"]],
            asynchronous=AsyncForm.from_post(post),
            capture=NewCaptureForm.from_post(post),
        )

    @classmethod
    def from_variants(
        cls, variants: Iterable[ProductionVariant], *, name: str, description: str
    ) -> EndpointForm:
        return cls(
            name=name,
            description=description,
            variants=[_cells(variant) for variant in variants],
        )

    @classmethod
    def for_model(cls, model: str, *, name: str) -> EndpointForm:
        return cls(name=name, variants=[_ROW | {"name": "AllTraffic", "model": model}])

    @classmethod
    def for_job(cls, post: QueryDict) -> EndpointForm:
        """Of the one variant whose model is yet to be made of a job."""
        row = next(iter(_rows(post)), _ROW) | {"name": "AllTraffic", "model": ""}
        return cls(name=folded(post.get("name", "")), variants=[row])

    def variant_requests(self) -> list[VariantRequest]:
        """Raises InvalidRequest with one entry for each cell that is not a number."""
        errors: list[FieldError] = []
        requests = [_request(row, number, errors) for number, row in enumerate(self.variants)]
        if errors:
            raise InvalidRequest.for_fields(errors)
        return requests

    def api_call(self, *, base_url: str, project: str) -> str:
        """The same endpoint as a curl command."""
        body: dict[str, Any] = {"name": self.name, "variants": [_body(row) for row in self.variants]}
        if self.description:
            body["description"] = self.description
        body |= self.asynchronous.body() | self.capture.body()
        return (
            f"curl -X POST {base_url}/api/v1/projects/{project}/endpoints/ \\\n"
            '  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n'
            f"  -d {shlex.quote(json.dumps(body, indent=2, ensure_ascii=False))}"
        )


def _rows(post: QueryDict) -> list[dict[str, str]]:
    """The cells of each variant as they were sent."""
    given = {column: post.getlist(f"variant.{column}") for column in _ROW}
    return [
        {
            column: folded(values[number]) if number < len(values) else _ROW[column]
            for column, values in given.items()
        }
        for number in range(max(len(values) for values in given.values()))
    ]


def _cells(variant: ProductionVariant) -> dict[str, str]:
    cells = _ROW | {
        "name": variant.name,
        "model": variant.model.name,
        "weight": f"{variant.weight:g}",
        "idle_after_s": "" if variant.idle_after_s is None else str(variant.idle_after_s),
    }
    if variant.serverless_memory_mb is None:
        return cells | {
            "instance_type": variant.instance_type,
            "instance_count": str(variant.instance_count),
        }
    return cells | {
        "capacity": SERVERLESS,
        "memory_mb": str(variant.serverless_memory_mb),
        "max_concurrency": str(variant.serverless_max_concurrency),
    }


def _request(row: dict[str, str], number: int, errors: list[FieldError]) -> VariantRequest:
    common: dict[str, Any] = {
        "name": row["name"],
        "model": row["model"],
        "weight": _number(row, "weight", number, errors),
    }
    idle_after_s = (
        int(_number(row, "idle_after_s", number, errors, whole=True)) if row["idle_after_s"] else None
    )
    if row["capacity"] == SERVERLESS:
        serverless = ServerlessRequest(
            memory_mb=int(_number(row, "memory_mb", number, errors, whole=True)),
            max_concurrency=int(_number(row, "max_concurrency", number, errors, whole=True)),
            idle_after_s=IDLE_AFTER_S if idle_after_s is None else idle_after_s,
        )
        return VariantRequest(**common, serverless=serverless)
    return VariantRequest(
        **common,
        instance_type=row["instance_type"],
        instance_count=int(_number(row, "instance_count", number, errors, whole=True)),
        idle_after_s=idle_after_s,
    )


def _body(row: dict[str, str]) -> dict[str, Any]:
    """A variant as REST takes it."""
    cells = {
        name: _plain(value) if name in _NUMBERS else value
        for name, value in row.items()
        if value or name != "idle_after_s"
    }
    common = {name: cells[name] for name in ("name", "model", "weight")}
    if row["capacity"] == SERVERLESS:
        return common | {SERVERLESS: {name: cells[name] for name in _OF_SERVERLESS if name in cells}}
    return common | {name: cells[name] for name in _OF_INSTANCES if name in cells}


def weights_from_post(post: QueryDict) -> tuple[dict[str, float], dict[str, int]]:
    """The weights and counts by variant. Raises InvalidRequest."""
    errors: list[FieldError] = []
    weights: dict[str, float] = {}
    counts: dict[str, int] = {}
    rows = zip_longest(
        post.getlist("variant.name"),
        post.getlist("variant.weight"),
        post.getlist("variant.instance_count"),
        fillvalue="",
    )
    for number, (name, weight, count) in enumerate(rows):
        row = {"weight": folded(weight), "instance_count": folded(count)}
        weights[name] = _number(row, "weight", number, errors)
        if post.get("serverless") != name:
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
