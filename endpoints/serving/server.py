"""Runs the model server's event loop: listens, serves, drains. Called by `__main__` once the model is
loaded."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvloop

from endpoints.serving.address import address_parse
from endpoints.serving.answers import refuse
from endpoints.serving.app import ModelApplication
from endpoints.serving.batching import Batcher
from endpoints.serving.http1 import Application, HttpServer
from endpoints.serving.lifeline import Lifeline, lifeline_wait
from endpoints.serving.loader import LoadedModel

if TYPE_CHECKING:
    from endpoints.serving.script_model import ScriptModel

logger = logging.getLogger(__name__)


def serve(model: LoadedModel | ScriptModel, *, address_text: str, lifeline: Lifeline, grace_s: float) -> int:
    """Serves until SIGTERM; answers the process's exit code."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(model, address_text, lifeline, grace_s))


async def _serve(
    model: LoadedModel | ScriptModel, address_text: str, lifeline: Lifeline, grace_s: float
) -> int:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    loop.add_signal_handler(signal.SIGINT, ended.set)
    app, close = _application(model)
    server = HttpServer(app, refuse=refuse)
    try:
        address = await server.listen(address_parse(address_text))
    except (OSError, ValueError) as error:
        logger.error("cannot listen on %s: %s", address_text, error)
        return 1
    logger.info("serving on %s", address)
    await lifeline_wait(ended, lifeline)
    logger.info("asked to end: answering %d requests that have begun", server.n_active)
    await server.drain(grace_s=grace_s)
    close()
    return 0


def _application(model: LoadedModel | ScriptModel) -> tuple[Application, Callable[[], None]]:
    """What answers, and how its threads are ended. Made on the running loop."""
    if isinstance(model, LoadedModel):
        batcher = Batcher(model.predictor)
        return ModelApplication(model, batcher), batcher.close
    from endpoints.serving.own_limits import STUCK_S
    from endpoints.serving.script_app import ScriptApplication
    from endpoints.serving.script_threads import HandlerThreads

    threads = HandlerThreads(n_threads=model.n_threads, answer_within_s=STUCK_S)
    return ScriptApplication(model, threads), threads.close
