"""The model server's process: `python -m endpoints.serving --socket PATH --model-dir DIR --algorithm NAME
...`.

Exec'ed by a host, one per replica. Loads one model, serves it until SIGTERM (what has begun is answered
first) or until its parent is gone. Exit codes: 0 ended as asked, 1 the model could not be loaded (traceback
on stdout, and for a script's model in one line what is wrong) or the address is taken.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import traceback
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from endpoints.serving.failure_mark import FAILURE_MARK
from endpoints.serving.lifeline import Lifeline

if TYPE_CHECKING:
    from endpoints.serving.loader import LoadedModel
    from endpoints.serving.script_model import ScriptModel

logger = logging.getLogger("endpoints.serving")

SCRIPT = "script"
"""The algorithm of models that a user's script serves."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class JsonFormatter(logging.Formatter):
    """One JSON object per line, where `--log-format json` asks for it."""

    def format(self, record: logging.LogRecord) -> str:
        content = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            content["traceback"] = self.formatException(record.exc_info)
        return json.dumps(content, ensure_ascii=False)


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    for name in _THREAD_VARIABLES:  # read once, when the libraries below are imported
        os.environ[name] = str(options.threads)
    os.environ["OMP_WAIT_POLICY"] = (
        "PASSIVE"  # a thread that waits leaves the processor to other model servers
    )
    _log_to_stdout(options.log_format)
    lifeline = Lifeline(parent_pid=options.parent_pid)
    try:
        model = _script(options) if options.algorithm == SCRIPT else _built_in(options)
    except Exception as error:
        print(getattr(error, "shown", traceback.format_exc()), flush=True)
        logger.error("the model in %s could not be loaded", options.model_dir)
        if hasattr(error, "shown"):
            print(f"{FAILURE_MARK}{error}", flush=True)
        return 1
    from endpoints.serving.server import serve

    return serve(model, address_text=options.socket, lifeline=lifeline, grace_s=options.grace_s)


def _built_in(options: argparse.Namespace) -> LoadedModel:
    from endpoints.serving.loader import model_load

    started = monotonic()
    model = model_load(
        algorithm=options.algorithm,
        engine=options.engine,
        model_dir=options.model_dir,
        n_threads=options.threads,
    )
    logger.info("model loaded in %.2f s, expects %d features", monotonic() - started, model.n_features)
    return model


def _script(options: argparse.Namespace) -> ScriptModel:
    from endpoints.serving.script_model import script_load
    from endpoints.serving.script_outline import CODE_FOLDER

    started = monotonic()
    code = options.model_dir.resolve() / CODE_FOLDER
    if code.is_dir():  # where the service has a script begin
        os.chdir(code)
    model = script_load(
        model_dir=code.parent,
        framework=options.framework,
        entry_point=options.entry_point,
        lean=not options.own_packages,
    )
    logger.info("model loaded in %.2f s by its script", monotonic() - started)
    return model


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m endpoints.serving", description="Serves one model.")
    parser.add_argument("--socket", required=True, help="unix socket path, unix:/path or tcp:host:port")
    parser.add_argument("--model-dir", required=True, type=Path, help="the unpacked model artifact")
    parser.add_argument("--algorithm", default="", help="name of a registered algorithm")
    parser.add_argument("--framework", default="", help="of a script's model")
    parser.add_argument("--entry-point", default="", help="the script in the model's code/")
    parser.add_argument("--own-packages", action="store_true", help="the interpreter has those of a script")
    parser.add_argument("--engine", default="", help="dotted path module:Class, instead of --algorithm")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--parent-pid",
        type=int,
        default=0,
        help="end when this process is gone; 0 for none, -1 when stdin is closed",
    )
    parser.add_argument(
        "--grace-s", type=float, default=30.0, help="time to answer what has begun after SIGTERM"
    )
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    return parser


def _log_to_stdout(log_format: str) -> None:
    handler = logging.StreamHandler(sys.stdout)
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z")
    handler.setFormatter(JsonFormatter() if log_format == "json" else text)
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # It tells, with a traceback's words, of every instruction set that its build has not.
    logging.getLogger("faiss.loader").setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
