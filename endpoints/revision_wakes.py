"""Tells gateway and host of this machine when what they act on has changed. Registered when Django starts."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from endpoints.wake import gateway_wake, host_wake
from mlplatform.core.revisions import ROUTING, revision_bumped


@receiver(revision_bumped)
def _wake(sender: object, *, name: str, **_: Any) -> None:
    if name == ROUTING:
        gateway_wake()
        host_wake()
