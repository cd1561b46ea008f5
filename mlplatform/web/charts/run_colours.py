"""The colour of a run: by its name, the same on every page; and a dash and a marker, so that it is not colour alone."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final

from mlplatform.web.charts.k_lines import DASHES, N_COLOURS

N_MARKS: Final = N_COLOURS * len(DASHES)
"""Marks that differ in colour, or at least in dash: see `colour_token`, `dash` and `symbol` of `k_lines`."""
_HUES: Final = (0, 1, 2, 3, 4, 0, 4, 5)
"""The hue of each colour of the palette: it has two blues and two yellows, which side by side look alike."""


def run_colours(names: Iterable[str]) -> dict[str, int]:
    """A number for each name, as `k_lines` understands it.

    It follows from the name alone; only where an earlier one of `names` has that hue already, and others are left,
    it is the next free one. So a few runs side by side are never alike, and who is added changes nobody else.
    """
    given: dict[str, int] = {}
    hues: set[int] = set()
    colours: set[int] = set()
    for name in dict.fromkeys(names):
        mark = zlib.crc32(name.encode()) % N_MARKS
        while _taken(mark % N_COLOURS, hues, colours):
            mark = (mark + 1) % N_MARKS
        hues.add(_HUES[mark % N_COLOURS])
        colours.add(mark % N_COLOURS)
        given[name] = mark
    return given


def _taken(colour: int, hues: set[int], colours: set[int]) -> bool:
    if len(hues) < len(set(_HUES)):
        return _HUES[colour] in hues
    return colour in colours and len(colours) < N_COLOURS
