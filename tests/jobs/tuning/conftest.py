from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.tuning.asker import asker_here
from tests.jobs.training.cast import Cast, cast_make
from tests.jobs.tuning.stage import Stage


@pytest.fixture
def cast(db: None, settings: Any, tmp_path: Path) -> Cast:
    settings.OBJECT_STORE_URL = f"file://{tmp_path / 'store'}"
    return cast_make()


@pytest.fixture
def stage(cast: Cast) -> Stage:
    return Stage.of(cast.alice)


@pytest.fixture(scope="package", autouse=True)
def sampler_process_ends() -> Iterator[None]:
    """One process for all tests: they tell it of studies of their own."""
    yield
    asker_here().close()
