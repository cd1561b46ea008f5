"""What a process in a sandbox says with a template, read as what anybody may have written. Django-free, pure.

A template is filled in with `str.format`, so that only plain places are taken, each once: no attribute is looked up,
and what comes of it is no longer than what was read. Called by `jobs.runner.outcome` for jobs, and by those who start
inspections and table runs.
"""

from __future__ import annotations

from string import Formatter
from typing import Any, Final

from mlplatform.core.text import from_json

_DEPTH_MAX: Final = 4
_SHOWN_CHARACTERS: Final = 1000


def said_read(said: Any, *, message: str) -> str:
    """`message` with its template, if `said` is one that gives this message; else as it is."""
    found = _read(said)
    return message if found is None or found != message else found


def said_text(said: Any) -> str:
    """What a process that has no other words says: a template that is one, or a plain text; else what it looks like."""
    found = _read(said)
    if found is not None:
        return found
    return said if isinstance(said, str) else repr(said)[:_SHOWN_CHARACTERS]


def _read(said: Any) -> str | None:
    """The text of a template that is one; None for anything else."""
    lean = _without_unused(said, _DEPTH_MAX)
    if not _is_template(lean, _DEPTH_MAX):
        return None
    found: str = from_json(lean)
    return found


def _without_unused(value: Any, depth: int) -> Any:
    """A template without the params that it has no place for: they do no harm, but are not kept either."""
    if not isinstance(value, dict) or not depth:
        return value
    template, params = value.get("template"), value.get("params")
    places = _places(template) if isinstance(template, str) else None
    if places is None or not isinstance(params, dict):
        return value
    used = {name: _without_unused(given, depth - 1) for name, given in params.items() if name in places}
    return value | {"params": used}


def _is_template(value: Any, depth: int) -> bool:
    """Whether it is what `to_json` makes of a Text."""
    if not isinstance(value, dict) or not depth:
        return False
    template, params = value.get("template"), value.get("params")
    if not isinstance(template, str) or not template or not isinstance(params, dict):
        return False
    return sorted(params) == _places(template) and all(_is_param(given, depth) for given in params.values())


def _is_param(value: Any, depth: int) -> bool:
    return isinstance(value, (str, int, float)) or _is_template(value, depth - 1)


def _places(template: str) -> list[str] | None:
    """The names of its places in order; None where one is more than a name."""
    try:
        found = [piece[1:] for piece in Formatter().parse(template) if piece[1] is not None]
    except ValueError:
        return None
    if not all(str(name).isidentifier() and (spec, how) == ("", None) for name, spec, how in found):
        return None
    return sorted(str(name) for name, _, _ in found)
