"""Fixtures of the tests of scripts: the cast of training jobs, as the tests of those have it."""

from __future__ import annotations

from tests.jobs.training.conftest import cast, threads_cast, worker

__all__ = ["cast", "threads_cast", "worker"]
