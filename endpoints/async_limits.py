"""What an asynchronous request may carry and take: more than an invocation may. Django-free constants."""

from __future__ import annotations

from typing import Final

BODY_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of one request; the gateway holds it while it is answered."""
PATIENT_S: Final = 3600.0
"""The longest that a model may take for one, as in the managed service."""
