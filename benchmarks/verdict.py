"""The line with which a benchmark says what it measured, what the bar is, and whether it is met. No benchmark itself.

    one call through the gateway | 0.312 ms | at most 0.35 ms | met

`benchmarks.collecting` reads such lines from what a benchmark prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MET, MISSED = "met", "missed"
_SEPARATOR: Final = " | "


@dataclass(frozen=True)
class Verdict:
    """One bar. `outcome` begins with "met" or "missed"."""

    what: str
    measured: str
    bar: str
    outcome: str

    @property
    def is_met(self) -> bool:
        return self.outcome.startswith(MET)

    def line(self) -> str:
        return _SEPARATOR.join((self.what, self.measured, self.bar, self.outcome))


def verdict(what: str, measured: float, bar: float, *, unit: str = "", at_least: bool = False) -> bool:
    """Prints the line of one bar; answers whether it is met.

    Args:
        unit: Of both numbers, such as `ms` or `times`.
        at_least: More is better; else less.
    """
    is_met = measured >= bar if at_least else measured <= bar
    said = f"at {'least' if at_least else 'most'} {_amount(bar, unit)}"
    outcome = MET if is_met else f"{MISSED} by {_amount(abs(measured - bar), unit)}"
    print(Verdict(what, _amount(measured, unit), said, outcome).line(), flush=True)
    return is_met


def verdict_parse(line: str) -> Verdict | None:
    """The bar that a printed line is about; None for none."""
    parts = line.strip().split(_SEPARATOR)
    return Verdict(*parts) if len(parts) == 4 and parts[3].startswith((MET, MISSED)) else None


def _amount(value: float, unit: str) -> str:
    number = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{number} {unit}".rstrip()
