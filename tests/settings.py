"""Settings of the test run: ours, with a data directory of its own that goes away with the process.

pytest loads them before any conftest. The variable is set for whatever a test starts, and always anew, so
that neither a developer's data nor that of a parallel test process can be touched. `TEST_ON=postgres`
(tests/services.py) is a run on a Postgres and a Redis of its own; `TEST_DATABASE_URL` names a server that is there.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from tests.services import free_port, is_on, services_ensure

_data_dir = tempfile.mkdtemp(prefix="mlplatform-test-")
atexit.register(shutil.rmtree, _data_dir, ignore_errors=True)
os.environ["MLPLATFORM_DATA_DIR"] = _data_dir
(
    Path(_data_dir) / "db.sqlite3"
).touch()  # settings for a database that is there: its connections write nothing
for _name in ("DATABASE_URL", "CELERY_BROKER_URL", "OBJECT_STORE_URL", "MLPLATFORM_SECRET_KEY"):
    os.environ.pop(_name, None)

# Workers of tests that are not about it start no process ahead, which would take processor time from other tests.
os.environ.setdefault("MLPLATFORM_WARM_PROCESSES", "0")

services_ensure()
if os.environ.get("TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]

from mlplatform.settings import *  # noqa: E402, F403  must see the variables above

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the real one is slow on purpose
MLPLATFORM_STORE_PATIENCE_S = 1  # tests of a store that is away do not wait five minutes
if is_on():
    CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"  # for a Redis that a test starts
