"""Starts the process of a batch transform in a sandbox and gives what it prints. Django-free; called by a worker.

It reads data of somebody's: of the machine it sees the objects that it is to read, its folder and the socket of the
job's own model server, as the user that the model server runs as.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from endpoints.evaluation.process import process_lines
from endpoints.transform.spec import TransformSpec
from jobs.runner.sandbox import Mount, Sandbox, hand_over, user_of

_FOLDER: Final = Path("/opt/transform")
_DATA: Final = Path("/opt/transform-data")
_SOCKET: Final = Path("/run/model-server")


def transform_lines(
    spec: TransformSpec, folder: Path, *, uid: str, time_limit_s: float, stopped: Callable[[], bool]
) -> Iterator[dict[str, Any]]:
    """What the process prints, line by line; see `process_lines`.

    Args:
        folder: Of this process alone; the results lie in it.
        uid: What the model server is called, whose user the process gets.
    """
    socket = Path(spec.socket)
    outside = {given.data: Path(given.data) for given in spec.inputs}
    data = (
        Mount(path, _DATA / str(number))
        for number, path in enumerate(outside.values())
        if not path.is_relative_to(folder)
    )
    sandbox = Sandbox(
        folder=folder,
        mounts=(Mount(folder, _FOLDER, writable=True), *data, Mount(socket.parent, _SOCKET)),
        user=user_of(uid),
    )
    inside = replace(
        spec,
        socket=str(sandbox.inside(socket)),
        inputs=[
            replace(
                given,
                data=str(sandbox.inside(Path(given.data))),
                result=str(sandbox.inside(Path(given.result))),
            )
            for given in spec.inputs
        ],
    )
    spec_path = folder / "spec.json"
    inside.write(spec_path)
    hand_over(folder, sandbox.own_user)
    program = [sys.executable, "-m", "endpoints.transform", str(sandbox.inside(spec_path))]
    yield from process_lines(
        program, sandbox=sandbox, folder=folder, time_limit_s=time_limit_s, stopped=stopped
    )
