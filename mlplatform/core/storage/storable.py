"""What a job or model server says, as every database and page can take it. Django-free.

Postgres stores no NUL in text or JSON, and a lone surrogate, as bytes that are no UTF-8 leave one in a file's name, can
be written nowhere. A write that failed for either would look like a database that is away, and be tried for ever.
"""

from __future__ import annotations

from typing import Any

from mlplatform.core.text import Text

_INSTEAD = "\ufffd"


def storable(value: Any) -> Any:
    """The same text, mapping or list with U+FFFD for each character that cannot be stored; a Text stays one."""
    if isinstance(value, Text):
        return value if _clean(value) == value else Text(_clean(value.template), storable(value.params))
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {storable(name): storable(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [storable(inner) for inner in value]
    return value


def _clean(text: str) -> str:
    return text.replace("\0", _INSTEAD).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
