"""Texts for users that are made where no language is known: English now, another language where they are shown.

Django-free. Import `text` as `_`, so that its templates are collected for the catalogues; a template has plain
`{name}` places only. Nothing here translates: see `mlplatform.core.translation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Text(str):
    """The English text of a template with its parameters, which are numbers, strings and other Texts.

    Everywhere it is a plain `str`; what makes a new string of it (`f"{text}"`, `str(text)`) keeps the English only.
    """

    template: str
    params: dict[str, Any]

    def __new__(cls, template: str, params: Mapping[str, Any]) -> Text:
        made = super().__new__(cls, template.format(**params))
        made.template = template
        made.params = dict(params)
        return made

    def __getnewargs__(self) -> tuple[str, dict[str, Any]]:  # type: ignore[override]
        return self.template, self.params


def text(template: str, /, **params: Any) -> Text:
    """The English text of `template`, such as `_("{value} is not a number", value=shown(cell))`."""
    return Text(template, params)


def text_join(separator: str, parts: Iterable[str]) -> str:
    """`separator.join(parts)` whose parts can still be translated."""
    found = list(parts)
    places = [f"p{place}" for place in range(len(found))]
    template = separator.replace("{", "{{").replace("}", "}}").join(f"{{{place}}}" for place in places)
    return Text(template, dict(zip(places, found, strict=True)))


def text_of(error: BaseException) -> str:
    """What an exception says; `str(error)` would keep only the English of a Text."""
    said = error.args[0] if error.args else None
    return said if isinstance(said, Text) else str(error)


def to_json(message: str) -> Any:
    """A message as JSON-ready data: plain text as it is, a Text as its template and parameters."""
    if not isinstance(message, Text):
        return message
    return {
        "template": message.template,
        "params": {name: to_json(value) for name, value in message.params.items()},
    }


def from_json(value: Any) -> Any:
    """The inverse of `to_json`."""
    if not isinstance(value, dict):
        return value
    return Text(value["template"], {name: from_json(inner) for name, inner in value["params"].items()})
