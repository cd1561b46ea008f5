"""The older name of the service's training toolkit, as far as scripts use it. Our own, for scripts only."""

from __future__ import annotations

from sagemaker_training.environment import Environment


def training_env() -> Environment:
    """The environment that the script runs in."""
    return Environment()
