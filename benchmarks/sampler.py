"""What a suggestion costs at 1,000 trials: asked as a worker asks, of the process `python -m jobs.tuning`.

    python -m benchmarks.sampler [--trials 1000] [--parameters 10]

Each trial is told as soon as it has ended, two are under way at a time; the ranges have all scales and types. Prints
the median and the slowest twentieth of the last 100 suggestions, telling included, and what a process that died costs,
which is told everything again. Bar: 50 ms a suggestion.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median, quantiles
from time import perf_counter
from typing import Any, Final

from benchmarks.options import options_parser
from benchmarks.verdict import verdict
from jobs.tuning.asker import Asker, History, Told

BAR_MS: Final = 50.0
AT_A_TIME: Final = 2


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--parameters", type=int, default=10)
    options = parser.parse_args()
    times_ms, again_ms = _measure(options.trials, options.parameters)
    middle, slow = median(times_ms), quantiles(times_ms, n=20)[18]
    print(f"a suggestion at {options.trials:,} trials of {options.parameters} hyperparameters")
    print(f"  median {middle:7.1f} ms, slowest twentieth {slow:.1f} ms")
    print(f"  of a new process, told everything: {again_ms:.0f} ms")
    verdict(f"a suggestion at {options.trials:,} trials", middle, BAR_MS, unit="ms")


def _measure(n_trials: int, n_parameters: int) -> tuple[list[float], float]:
    told: dict[int, Told] = {}
    spec = {
        "name": "benchmark",
        "strategy": "Bayesian",
        "direction": "Minimize",
        "ranges": [_range(place) for place in range(n_parameters)],
        "seed": 1,
        "hyperband": None,
        "known": [],
        "first": [],
    }
    times_ms: list[float] = []

    def load(numbers: Sequence[int]) -> list[Told]:
        return [told[number] for number in numbers]

    def suggest(number: int) -> None:
        history = History({known: found.state for known, found in told.items()}, load)
        begun = perf_counter()
        found = asker.suggest(study="benchmark", spec=spec, history=history, number=number)
        times_ms.append((perf_counter() - begun) * 1000)
        told[number] = Told(number, "running", found.internal)
        done = number - AT_A_TIME + 1
        if done > 0:
            told[done] = Told(done, "complete", told[done].internal, _value(told[done].internal))

    asker = Asker()
    try:
        for number in range(1, n_trials + 101):
            suggest(number)
        measured = times_ms[-100:]
        asker.close()
        suggest(n_trials + 101)
        return measured, times_ms[-1]
    finally:
        asker.close()


def _range(place: int) -> dict[str, Any]:
    name = f"p{place}"
    return (
        {"name": name, "type": "Continuous", "min": 1e-4, "max": 1.0, "scaling": "Logarithmic"},
        {"name": name, "type": "Integer", "min": 1, "max": 50, "scaling": "Linear"},
        {"name": name, "type": "Continuous", "min": 0.0, "max": 0.999, "scaling": "ReverseLogarithmic"},
        {"name": name, "type": "Categorical", "values": ["a", "b", "c"]},
        {"name": name, "type": "Continuous", "min": -1.0, "max": 1.0, "scaling": "Linear"},
    )[place % 5]


def _value(internal: Any) -> float:
    return sum(len(value) if isinstance(value, str) else math.sin(value) for value in internal.values())


if __name__ == "__main__":
    main()
