"""The OpenAPI document: security schemes and the form of errors for drf-spectacular."""

from __future__ import annotations
