"""The code of a model that a script serves, as its page shows it. Pure but for what the selector reads."""

from __future__ import annotations

from typing import Any

from endpoints.models import Model
from endpoints.selectors.model_code import model_code
from endpoints.serving.script_outline import HANDLERS, INPUT, MODEL, OUTPUT, PREDICT, TRANSFORM
from jobs.algorithms.registry import SCRIPT
from jobs.frameworks import FRAMEWORKS
from mlplatform.web.code_lines import code_lines
from mlplatform.web.job_code import SHOWN_BYTES_MAX, ShownFile
from mlplatform.web.script_files import text_of


def model_code_context(model: Model) -> dict[str, Any]:
    """Files, handlers and framework; empty for a model of a built-in algorithm."""
    if model.algorithm != SCRIPT:
        return {}
    known = FRAMEWORKS.get(model.framework)
    return {
        "framework": known.title if known else model.framework,
        "handlers": _handlers(model),
        "code_files": _files(model),
    }


def _handlers(model: Model) -> list[tuple[str, bool]]:
    """Each handler that takes part, and whether it is the script's own."""
    own = set((model.manifest.get("script") or {}).get("handlers", []))
    answering = {TRANSFORM} if TRANSFORM in own else {INPUT, PREDICT, OUTPUT}
    return [(name, name in own) for name in HANDLERS if name in answering | {MODEL}]


def _files(model: Model) -> list[ShownFile]:
    contents = model_code(model=model)
    shown, left = [], SHOWN_BYTES_MAX
    for path in sorted(contents, key=lambda path: (path != model.entry_point, path)):
        content = contents[path]
        text = text_of(content) if content is not None and len(content) <= left else None
        left -= len(content or b"") if text is not None else 0
        lines = None if text is None else code_lines(path, text)
        shown.append(ShownFile(path, len(content or b""), lines, path == model.entry_point))
    return shown
