"""The handlers of an inference script as the server calls them: found in its module once, signatures looked at then.

`model_fn(model_dir)`, `input_fn(data, content_type)`, `predict_fn(data, model)`, `output_fn(prediction, accept)`, or
`transform_fn(model, data, content_type, accept)` in place of the last three. Each may take one argument more, the
`context` of the service's inference toolkit.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final

from endpoints.serving.script_outline import (
    HANDLERS,
    INPUT,
    MODEL,
    OUTPUT,
    PREDICT,
    TRANSFORM,
    handlers_conflict,
)
from mlplatform.core.text import text as _

ARGUMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    MODEL: ("model_dir",),
    INPUT: ("data", "content_type"),
    PREDICT: ("data", "model"),
    OUTPUT: ("prediction", "accept"),
    TRANSFORM: ("model", "data", "content_type", "accept"),
}
_CONTEXT: Final = "context"
_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class HandlersRefused(Exception):
    """What the script defines cannot be used; the message says what it would have to be."""


@dataclass(frozen=True)
class Context:
    """What a handler that asks for it is told beside its arguments, under the names of the inference toolkit."""

    model_dir: str
    request_headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def system_properties(self) -> dict[str, Any]:
        return {"model_dir": self.model_dir, "gpu_id": None}

    @property
    def custom_attributes(self) -> str:
        return self.request_headers.get("x-amzn-sagemaker-custom-attributes", "")

    @property
    def request_content_type(self) -> str:
        return self.request_headers.get("content-type", "")

    @property
    def accept_header(self) -> str:
        return self.request_headers.get("accept", "")

    def get_all_request_header(self, index: int = 0) -> dict[str, str]:
        return dict(self.request_headers)

    def get_request_header(self, index: int, key: str) -> str | None:
        return self.request_headers.get(key.lower())


Handler = Callable[..., Any]
"""Called with the arguments of its name and, last of all, a Context."""


def handlers_of(module: ModuleType) -> dict[str, Handler]:
    """The handlers that `module` has, by name.

    Raises:
        HandlersRefused: One cannot be called as the service calls it, or they exclude one another.
    """
    found = {name: handler for name in HANDLERS if (handler := getattr(module, name, None)) is not None}
    conflict = handlers_conflict(found)
    if conflict:
        raise HandlersRefused(conflict)
    return {name: _called(name, handler) for name, handler in found.items()}


def _called(name: str, handler: Any) -> Handler:
    arguments = ARGUMENTS[name]
    if not callable(handler):
        kind = type(handler).__name__
        raise HandlersRefused(_("{name} is a {kind}, not a function", name=name, kind=kind))
    if inspect.iscoroutinefunction(handler):
        raise HandlersRefused(_("{name} is an async function; define it with a plain def", name=name))
    try:
        parameters = list(inspect.signature(handler).parameters.values())
    except (TypeError, ValueError):  # one made in C does not say
        return lambda *given: handler(*given[:-1])
    match _how(parameters, len(arguments)):
        case "plain":
            return lambda *given: handler(*given[:-1])
        case "context":
            return lambda *given: handler(*given)
        case "keyword":
            return lambda *given: handler(*given[:-1], context=given[-1])
    raise HandlersRefused(
        _(
            "{name}({given}) cannot be called as {name}({wanted})",
            name=name,
            given=", ".join(map(str, parameters)),
            wanted=", ".join(arguments),
        )
    )


def _how(parameters: list[inspect.Parameter], n_arguments: int) -> str:
    """plain, with the context behind (context) or by its name (keyword); empty if it cannot be called at all."""
    places = [one for one in parameters if one.kind in _POSITIONAL]
    n_required = sum(one.default is inspect.Parameter.empty for one in places)
    takes_all = any(one.kind is inspect.Parameter.VAR_POSITIONAL for one in parameters)
    named = [one for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY]
    wanted = [one.name for one in named if one.default is inspect.Parameter.empty]
    if (
        n_required > n_arguments + 1
        or (len(places) < n_arguments and not takes_all)
        or set(wanted) - {_CONTEXT}
    ):
        return ""
    if any(one.name == _CONTEXT for one in named):
        return "keyword" if n_required <= n_arguments else ""
    behind = places[n_arguments] if len(places) > n_arguments else None
    if behind is not None and (n_required > n_arguments or behind.name == _CONTEXT):
        return "context"
    return "plain"
