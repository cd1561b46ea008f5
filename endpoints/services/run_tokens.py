"""Tokens for runs of tables and evaluations, signed with a key that is made of the platform's secret key."""

from __future__ import annotations

import hashlib

from django.conf import settings

from endpoints.models import Endpoint
from endpoints.run_token import run_token_new
from mlplatform.core import clock


def run_token_for(*, endpoint: Endpoint, valid_s: float, is_captured: bool = False) -> str:
    """The right to invoke `endpoint`, and nothing else, for the next `valid_s` seconds.

    Args:
        is_captured: Whether data capture keeps its requests.
    """
    return run_token_new(
        key=run_token_key(),
        project=endpoint.project.name,
        endpoint=endpoint.name,
        expires_at=clock.now().timestamp() + valid_s,
        is_captured=is_captured,
    )


def run_token_key() -> bytes:
    """The key that signs tokens of runs: not the one that encrypts access keys, nor the one that signs cookies."""
    return hashlib.sha256(b"tokens of runs\0" + settings.SECRET_KEY.encode()).digest()
