"""The environment of a script as attributes, read from its `SM_` variables. Imported by scripts only."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any


class Environment(Mapping[str, Any]):
    """`Environment().hyperparameters`, `.channel_input_dirs`, `.model_dir`, `.num_gpus`, `.hosts` and so on: whatever
    is in `SM_TRAINING_ENV`, as an attribute and by its name.
    """

    def __init__(self) -> None:
        self._values: dict[str, Any] = json.loads(os.environ.get("SM_TRAINING_ENV") or "{}")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._values:
            raise AttributeError(name)
        return self._values[name]

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def to_cmd_args(self) -> list[str]:
        """The words of the command line that hyperparameters were given as."""
        words: list[str] = json.loads(os.environ.get("SM_USER_ARGS") or "[]")
        return words

    def to_env_vars(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name.startswith("SM_")}
