"""A model that is served by a user's handlers: loaded from its folder, and asked with a raw body for a raw answer.

What the script does not define is as in the service's inference toolkit (`script_bodies`, `script_defaults`). Knows
neither HTTP nor threads: `script_app` calls it.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from endpoints.serving.answers import ModelFault, NotAcceptable, ValidationError
from endpoints.serving.encode import format_choose
from endpoints.serving.script_bodies import JSON, OUTPUT_TYPES, body_decode, body_encode
from endpoints.serving.script_code import ScriptFailed, error_shown, script_find, script_import, script_run
from endpoints.serving.script_defaults import model_default, predict_default
from endpoints.serving.script_handlers import Context, Handler, HandlersRefused, handlers_of
from endpoints.serving.script_lean import frameworks_import
from endpoints.serving.script_outline import (
    CODE_FOLDER,
    HANDLERS,
    INPUT,
    MODEL,
    OUTPUT,
    PREDICT,
    TRANSFORM,
    handlers_none,
)
from mlplatform.core.errors import PlatformError, UnsupportedMediaType

logger = logging.getLogger("endpoints.serving")

_DEFAULT_ACCEPT: Final = "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT"
_WORKERS: Final = "SAGEMAKER_MODEL_SERVER_WORKERS"
_WORKERS_MAX: Final = 64
_CONTENT_TYPE: Final = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,199}\Z")
_UNSUPPORTED: Final = re.compile(
    r"Unsupported(?:Format|ContentType|MediaType|Accept|AcceptType)(?:Error|Exception)?\Z"
)
"""Names of the exceptions by which toolkits say that a content type is not theirs."""
_WORDS_MAX: Final = 2000
_OWN_ERRORS: Final = (ValidationError, UnsupportedMediaType, NotAcceptable, ModelFault)


@dataclass(frozen=True)
class Answered:
    body: bytes
    content_type: str


class ScriptModel:
    """A loaded model and what answers with it. `answer` may be called from as many threads as `n_threads` says."""

    def __init__(
        self, model: Any, handlers: Mapping[str, Handler], *, model_dir: Path, framework: str
    ) -> None:
        self._model = model
        self._handlers = handlers
        self._model_dir = str(model_dir)
        self._framework = framework
        self._folder = model_dir / CODE_FOLDER
        self.default_accept = os.environ.get(_DEFAULT_ACCEPT, "") or JSON
        self.n_threads = _n_threads()

    def answer(self, body: bytes, headers: Mapping[str, str]) -> Answered:
        """What the handlers make of a body.

        Args:
            headers: Of the request, with names in lower case.

        Raises:
            ValidationError, UnsupportedMediaType, NotAcceptable: what the request asks for cannot be had.
            ModelFault: a handler raised something; its traceback is in the log.
        """
        context = Context(self._model_dir, headers)
        content_type = headers.get("content-type", "")
        accept = self._accept(headers.get("accept", ""))
        if TRANSFORM in self._handlers:
            transform = self._handlers[TRANSFORM]
            made = self._run(TRANSFORM, lambda: transform(self._model, body, content_type, accept, context))
            return self._answered(TRANSFORM, made, accept)
        kind = "" if OUTPUT in self._handlers else _kind(accept)
        data = self._run(INPUT, lambda: self._input(body, content_type, context))
        prediction = self._run(PREDICT, lambda: self._predict(data, context))
        if OUTPUT in self._handlers:
            write = self._handlers[OUTPUT]
            made = self._run(OUTPUT, lambda: write(prediction, accept, context))
            return self._answered(OUTPUT, made, accept)
        written: Answered = self._run(OUTPUT, lambda: self._written(prediction, kind))
        return written

    def _accept(self, given: str) -> str:
        return self.default_accept if not given.strip() or given.strip() == "*/*" else given.strip()

    def _input(self, body: bytes, content_type: str, context: Context) -> Any:
        if INPUT in self._handlers:
            return self._handlers[INPUT](body, content_type, context)
        return body_decode(body, content_type, libsvm=self._framework == "xgboost")

    def _predict(self, data: Any, context: Context) -> Any:
        if PREDICT in self._handlers:
            return self._handlers[PREDICT](data, self._model, context)
        return predict_default(data, self._model)

    def _written(self, prediction: Any, kind: str) -> Answered:
        named = self._framework == "tensorflow" and kind == JSON and not isinstance(prediction, Mapping)
        return Answered(body_encode({"predictions": prediction} if named else prediction, kind), kind)

    def _answered(self, name: str, made: Any, accept: str) -> Answered:
        """What `output_fn` or `transform_fn` answered: a body, or a body and its content type."""
        content_type = accept.partition(",")[0].partition(";")[0].strip()
        if isinstance(made, tuple | list) and len(made) == 2 and isinstance(made[1], str):
            made, content_type = made
        if not _CONTENT_TYPE.match(content_type):
            raise _fault(f"{name} answered the content type {content_type[:100]!r}, which is none")
        if isinstance(made, bytes | bytearray | memoryview):
            return Answered(bytes(made), content_type)
        if isinstance(made, str):
            return Answered(made.encode("utf-8", "replace"), content_type)
        if isinstance(made, np.ndarray | np.generic):
            kind = content_type if content_type in OUTPUT_TYPES else JSON
            return Answered(body_encode(made, kind), kind)
        raise _fault(
            f"{name} answered a {type(made).__name__}; answer bytes, a str, a NumPy array, or one of those "
            "and its content type"
        )

    def _run(self, name: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except _OWN_ERRORS:
            raise
        except BaseException as error:  # a handler's sys.exit must not end its thread
            raise self._told(name, error) from None

    def _told(self, name: str, error: BaseException) -> PlatformError:
        words = f"{type(error).__name__}: {error}"[:_WORDS_MAX]
        if any(_UNSUPPORTED.match(kind.__name__) for kind in type(error).__mro__):
            return NotAcceptable(words) if name == OUTPUT else UnsupportedMediaType(words)
        logger.error("%s failed:\n%s", name, error_shown(error, self._folder))
        return _fault(f"{name}: {words}")


def script_load(*, model_dir: Path, framework: str, entry_point: str, lean: bool = True) -> ScriptModel:
    """The model in `model_dir` with the handlers of its script, ready to answer.

    Args:
        framework: One of `jobs.frameworks`; which defaults hold.
        entry_point: A file of the model's `code/`; empty for `inference.py` there, if there is one.
        lean: Whether frameworks may be imported without what the script cannot be using (`script_lean`).

    Raises:
        ScriptFailed: whatever is wrong with the script or the model, with the script's own line.
    """
    folder = model_dir / CODE_FOLDER
    script = script_find(model_dir, entry_point)
    if script is not None and handlers_none(script.read_bytes()):
        script = None  # it only trains
    if lean and script is not None:
        frameworks_import(script, folder=folder)
    try:
        handlers = {} if script is None else handlers_of(script_import(script, folder=folder))
    except HandlersRefused as error:
        assert script is not None
        raise ScriptFailed(f"{script.name}: {error}") from None
    _tell(handlers, script, framework)
    context = Context(str(model_dir))
    load = handlers.get(MODEL)
    model = script_run(
        (lambda: load(str(model_dir), context)) if load else (lambda: model_default(model_dir, framework)),
        folder=folder,
        doing=MODEL,
    )
    return ScriptModel(model, handlers, model_dir=model_dir, framework=framework)


def _tell(handlers: Mapping[str, Handler], script: Path | None, framework: str) -> None:
    found = ", ".join(name for name in HANDLERS if name in handlers) or "none"
    answering = {TRANSFORM} if TRANSFORM in handlers else {INPUT, PREDICT, OUTPUT}
    missing = (
        ", ".join(name for name in HANDLERS if name in {MODEL, *answering} and name not in handlers) or "none"
    )
    name = script.name if script is not None else "the model's code"
    logger.info("handlers of %s: %s; defaults of %s: %s", name, found, framework or "python", missing)


def _kind(accept: str) -> str:
    """What the default `output_fn` writes. Raises NotAcceptable before anything was predicted."""
    return format_choose(accept.encode("latin-1", "replace"), OUTPUT_TYPES).kind


def _n_threads() -> int:
    """How many requests may be in the handlers at once: one, unless the model's environment says more."""
    wanted = os.environ.get(_WORKERS, "")
    return max(1, min(int(wanted), _WORKERS_MAX)) if wanted.isdecimal() and len(wanted) < 6 else 1


def _fault(own_words: str) -> ModelFault:
    message = f'Received server error (500) from model with message "{own_words}". Its log has the traceback.'
    return ModelFault(message, original_status=500, original_message=own_words)
