"""Label codes as the words people know, so that a dataset and a model with different codes can be compared."""

from __future__ import annotations

from collections.abc import Mapping


class LabelNames:
    """Names of codes.

    Args:
        mapping: Text → code, as a dataset's schema or a model's manifest has it; None where labels are numbers.
    """

    def __init__(self, mapping: Mapping[str, int] | None) -> None:
        self._names = {float(code): text for text, code in (mapping or {}).items()}

    @property
    def are_texts(self) -> bool:
        return bool(self._names)

    def name(self, code: float) -> str:
        """The text of a code; a number without one as short as it can be written."""
        known = self._names.get(code)
        return f"{code:.9g}" if known is None else known
