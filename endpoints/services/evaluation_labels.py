"""Whether a dataset's labels are ones that a model can know. Pure: schema, profile and manifest in, a complaint out.

What neither the mappings nor the profile tells is found by the evaluation itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mlplatform.core.tabular.schema import BOOLEAN_MAPPING
from mlplatform.core.text import text as _

_SHOWN_MAX: Final = 5
_SHOWN_CHARACTERS: Final = 40


def labels_complaint(
    *, schema: Mapping[str, Any], columns: Sequence[Mapping[str, Any]], manifest: Mapping[str, Any]
) -> str:
    """What is wrong with the labels; empty where nothing is, or where nothing is known.

    Args:
        schema: The dataset's, a `TableSchema` as JSON.
        columns: The summary of each column, with the smallest and largest of numbers.
        manifest: The model's; what it does not say is not compared.
    """
    if schema.get("label") is None or not _is_told(manifest):
        return ""
    texts, known = schema.get("label_mapping"), manifest["label_mapping"]
    if texts:
        return _texts_complaint(texts, known, manifest)
    numbers = columns[schema["label"]]
    low, high = numbers.get("min"), numbers.get("max")
    if low is None or high is None or manifest.get("predictor_type") == "regressor":
        return ""
    return _codes_complaint(low, high, known) if known else _numbers_complaint(low, high, manifest)


def _texts_complaint(
    texts: Mapping[str, int], known: Mapping[str, int] | None, manifest: Mapping[str, Any]
) -> str:
    if not known:
        if manifest.get("predictor_type") == "regressor":
            if texts == BOOLEAN_MAPPING:
                return ""
            return _("its labels are text ({labels}); the model predicts a number", labels=_shown(texts))
        return _("its labels are text ({labels}); those of the model are numbers", labels=_shown(texts))
    unseen = [text for text in texts if text not in known]
    if not unseen:
        return ""
    return _(
        "it has labels that the model never saw: {labels}; the model knows {known}",
        labels=_shown(unseen),
        known=_shown(known),
    )


def _codes_complaint(low: float, high: float, known: Mapping[str, int]) -> str:
    """Labels that are numbers are the codes of the model's texts."""
    codes = known.values()
    if min(codes) <= low and high <= max(codes):
        return ""
    return _(
        "its labels are numbers from {low} to {high}; the model knows {known}, or their numbers {first} to {last}",
        low=_number(low),
        high=_number(high),
        known=_shown(known),
        first=min(codes),
        last=max(codes),
    )


def _numbers_complaint(low: float, high: float, manifest: Mapping[str, Any]) -> str:
    seen = _range_of(manifest)
    if seen is None or (seen[0] <= low and high <= seen[1]):
        return ""
    return _(
        "it has labels that the model never saw: they go from {low} to {high}, those of the training data from "
        "{first} to {last}",
        low=_number(low),
        high=_number(high),
        first=_number(seen[0]),
        last=_number(seen[1]),
    )


def _is_told(manifest: Mapping[str, Any]) -> bool:
    """Whether the manifest says which labels there are; one that somebody made by hand may say anything."""
    if "label_mapping" not in manifest:
        return False
    known = manifest["label_mapping"]
    return known is None or (isinstance(known, dict) and all(map(_is_number, known.values())))


def _range_of(manifest: Mapping[str, Any]) -> tuple[float, float] | None:
    seen = manifest.get("label_range")
    is_range = isinstance(seen, list) and len(seen) == 2 and all(map(_is_number, seen))
    return (seen[0], seen[1]) if is_range and seen else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(labels: Iterable[str]) -> str:
    """The first few, in order."""
    found = list(labels)
    texts = [
        text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
        for text in found[:_SHOWN_MAX]
    ]
    return ", ".join(f"“{text}”" for text in texts) + (", …" if len(found) > _SHOWN_MAX else "")


def _number(value: float) -> str:
    return f"{value:.9g}"
