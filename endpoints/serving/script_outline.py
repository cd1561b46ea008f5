"""What an inference script defines, read from its text alone: nothing of it is run. Pure; imports nothing heavy.

Called by the model server, and as a process of its own (`python -m endpoints.serving.script_outline NAME`, the text on
standard input) by services, which refuse a model whose script cannot work before anybody waits for an endpoint: text
that is nested deeply enough can end whoever reads it.
"""

from __future__ import annotations

import ast
import json
import sys
import warnings
from collections.abc import Collection
from typing import Final

from mlplatform.core.errors import DataError
from mlplatform.core.text import text as _
from mlplatform.core.text import text_of, to_json

MODEL, INPUT, PREDICT, OUTPUT, TRANSFORM = "model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn"
HANDLERS: Final = (MODEL, INPUT, PREDICT, OUTPUT, TRANSFORM)
INFERENCE_NAME: Final = "inference.py"
"""The entry point of a model whose source or `code/` has one."""
CODE_FOLDER: Final = "code"
"""Where a model's code lies in its folder."""


def handlers_defined(text: bytes, *, name: str) -> tuple[str, ...]:
    """The handlers among the names that a script binds at its top level, in the order in which they are called.

    Args:
        name: The script's path, for messages.

    Raises:
        DataError: It is not Python; the message has file, line and text.
    """
    try:
        tree = ast.parse(text, filename=name)
    except SyntaxError as error:
        line = (error.text or "").strip()[:200]
        raise DataError(
            _(
                "{file}, line {line}: {error}: {text}",
                file=name,
                line=error.lineno or 0,
                error=error.msg,
                text=line,
            )
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte; nested beyond what Python reads
        raise DataError(
            _("{file} is not a Python script: {error}", file=name, error=str(error)[:200])
        ) from None
    found = {bound for statement in tree.body for bound in _bound(statement)}
    return tuple(handler for handler in HANDLERS if handler in found)


def handlers_none(text: bytes) -> bool:
    """Whether a script certainly defines no handler: such a one trains, and is not imported to serve."""
    try:
        found = {bound for statement in ast.parse(text).body for bound in _bound(statement)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return not found & {*HANDLERS, "*"} and not any(
        word in text for word in (b"globals", b"setattr", b"exec(")
    )


def handlers_conflict(found: Collection[str]) -> str:
    """What is wrong with having these handlers together; empty for nothing."""
    others = [name for name in (INPUT, PREDICT, OUTPUT) if name in found]
    if TRANSFORM not in found or not others:
        return ""
    return _(
        "transform_fn does the work of {others} as well; define either transform_fn or those, not both",
        others=", ".join(others),
    )


def _bound(statement: ast.stmt) -> list[str]:
    """Names that a statement of a module's top level binds; those of a guarded or tried block too."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
            return [name]
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return [alias.asname or alias.name for alias in names]
        case ast.If() | ast.Try() | ast.With():
            inner = [*statement.body, *getattr(statement, "orelse", []), *getattr(statement, "finalbody", [])]
            inner += [one for handler in getattr(statement, "handlers", []) for one in handler.body]
            return [name for one in inner for name in _bound(one)]
    return []


def main() -> None:
    """Prints {"handlers": [names]} or {"error": a text as JSON}."""
    warnings.simplefilter("ignore")
    try:
        found = handlers_defined(sys.stdin.buffer.read(), name=sys.argv[1])
        print(json.dumps({"handlers": found}))
    except DataError as error:
        print(json.dumps({"error": to_json(text_of(error))}))


if __name__ == "__main__":
    main()
