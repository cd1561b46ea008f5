"""Prices and costs as JSON."""

from __future__ import annotations

from typing import Any

from endpoints.selectors.costs import ProjectCosts, Spent
from jobs.models import PriceSheet
from jobs.pricing import CURRENCY_SHIPPED, SERVERLESS, Cost, prices_from, prices_shipped
from jobs.selectors.together import JobSpent, Together
from mlplatform.api.presenters.instants import instant


def cost_json(cost: Cost) -> dict[str, Any]:
    return {
        "seconds": round(cost.seconds, 3),
        "amount": None if cost.amount is None else round(float(cost.amount), 9),
        "currency": cost.currency,
    }


def price_sheet_json(sheet: PriceSheet | None) -> dict[str, Any]:
    """The sheet with every item, whether it says it or not."""
    said = sheet.prices if sheet else {}
    shipped = prices_shipped()
    held = prices_from(currency=sheet.currency if sheet else CURRENCY_SHIPPED, prices=said)
    prices = {
        item: held.serverless_gb_s if item == SERVERLESS else held.of(item).per_hour for item in shipped
    }
    return {
        "currency": held.currency,
        "prices": {item: format(price, "f") for item, price in prices.items()},
        "changed": [item for item, price in prices.items() if price != shipped[item]],
        "note": sheet.note if sheet else "",
        "created_at": instant(sheet.created_at) if sheet else None,
        "created_by": sheet.created_by.get_username() if sheet and sheet.created_by else None,
    }


def costs_json(costs: ProjectCosts) -> dict[str, Any]:
    return {
        "since": instant(costs.since),
        "until": instant(costs.until),
        "total": cost_json(costs.total),
        "by_kind": {kind.value: cost_json(cost) for kind, cost in costs.by_kind.items()},
        "days": [
            {"day": day, **{kind.value: round(float(amount), 9) for kind, amount in amounts.items()}}
            for day, amounts in costs.days.items()
        ],
        "n_spent": costs.n_spent,
        "spent": [_spent_json(one) for one in costs.spent],
    }


def together_json(together: Together) -> dict[str, Any]:
    return {
        "one": _job_json(together.one),
        "separate": [_job_json(part) for part in together.separate],
        "sum": {
            "run_s": round(together.separate_run_s, 3),
            "input_bytes": together.separate_input_bytes,
            "cost": cost_json(together.separate_cost),
        },
        "ratio": {
            "time": together.time_ratio,
            "bytes": together.bytes_ratio,
            "cost": together.cost_ratio,
        },
    }


def _spent_json(one: Spent) -> dict[str, Any]:
    return {
        "kind": one.kind.value,
        "name": one.name,
        "detail": one.detail,
        "n": one.n,
        "exists": one.exists,
        "cost": cost_json(one.cost),
        "last_at": instant(one.last_at),
    }


def _job_json(spent: JobSpent) -> dict[str, Any]:
    return {
        "job": spent.job.name,
        "algorithm": spent.job.algorithm,
        "run_s": round(spent.run_s, 3),
        "input_bytes": spent.input_bytes,
        "cost": cost_json(spent.cost),
    }
