"""One call of an endpoint with both members of an ensemble against two calls, one of each member's. No benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from time import perf_counter
from typing import Final

from benchmarks.serving_stage import ServingStage, call, wait_answered
from benchmarks.verdict import verdict
from endpoints.serving.client import ConnectionPool

RATIO_BAR: Final = 0.6
BOTH: Final = "both"
_WARM_UP: Final = 200
_CLOSE: Final = 1e-4


async def calls_compare(
    stages: Mapping[str, ServingStage],
    row: bytes,
    mean: float,
    prediction: Callable[[bytes], float],
    *,
    n_calls: int,
) -> None:
    """The two ways take turns, each call through a gateway of its own; both must answer the mean.

    Args:
        stages: `both`, and one for each of the two members.
        row: As CSV.
        mean: Of what both members predict for it.
        prediction: The number in an answer's body.
    """
    requests = {name: stage.request(stage.public, row) for name, stage in stages.items()}
    for name, stage in stages.items():
        await wait_answered(stage.public, requests[name])
    pools = {name: ConnectionPool(stage.public) for name, stage in stages.items()}
    first, second = (name for name in stages if name != BOTH)

    async def ask(name: str) -> float:
        return prediction((await call(pools[name], requests[name])).body)

    one, two = [], []
    for position in range(-_WARM_UP, n_calls):
        began_at = perf_counter()
        together = await ask(BOTH)
        between = perf_counter()
        apart = (await ask(first) + await ask(second)) / 2
        ended_at = perf_counter()
        if abs(together - mean) > _CLOSE or abs(apart - mean) > _CLOSE:
            raise RuntimeError(f"{together} and {apart} are not the mean of both models, {mean}")
        if position >= 0:
            one.append(between - began_at)
            two.append(ended_at - between)
    for pool in pools.values():
        pool.close()
    print(f"one call of the ensemble       {median(one) * 1e3:6.3f} ms (median of {n_calls})")
    print(f"two calls, one after the other {median(two) * 1e3:6.3f} ms")
    verdict("one call of the ensemble to two calls", median(one) / median(two), RATIO_BAR)
