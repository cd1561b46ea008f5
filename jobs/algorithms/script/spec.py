"""The declaration of a script's job: open, since only the script knows its hyperparameters and channels.

It has no engine: the job process runs the script itself (`jobs.runner.script`), and a model of it is served by the
script's own handlers.
"""

from __future__ import annotations

from typing import Final

from jobs.algorithms.base import AlgorithmSpec, Channel

CHANNEL: Final = Channel("", "Whatever the script reads from it.", content_types=())
"""What holds for a channel of any name."""

SPEC: Final = AlgorithmSpec(
    name="script",
    title="Script",
    summary="Your own training script with its hyperparameters, channels and metrics.",
    engine="",
    hyperparameters=(),
    channels=(),
    metrics=(),
    request_content_types=("text/csv", "application/json", "application/x-npy"),
    response_content_types=("text/csv", "application/json", "application/x-npy"),
    label="optional",
    open_channel=CHANNEL,
)
