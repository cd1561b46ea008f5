"""The tests that depend on what a database does, once more on Postgres: migrations, claims, fences, logs, pages,
the audit log and the counts of wrong passwords.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mlplatform.core.env import PROJECT_ROOT
from tests.postgres import postgres_running

WHAT = (
    "tests/jobs/training/test_lifecycle.py",
    "tests/jobs/training/test_selectors.py",
    "tests/core/test_logs.py",
    "tests/core/test_pages.py",
    "tests/core/audit/test_audit.py",
    "tests/core/people/test_throttle.py",
    "tests/web/test_audit_pages.py",
    "tests/web/test_nul.py",
)
"""Before them all migrations are run, from nothing."""


@pytest.mark.slow
@pytest.mark.xdist_group("database-postgres")
def test_migrations_claims_fences_logs_and_pages_hold_on_postgres_too() -> None:
    with postgres_running() as cluster:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *WHAT],
            cwd=PROJECT_ROOT,
            env={**os.environ, "TEST_DATABASE_URL": cluster.database_new("tests")},
            capture_output=True,
            text=True,
            timeout=600,
        )
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
