"""Whether the database has the platform's tables, for commands that read them at once."""

from __future__ import annotations

from django.core.management.base import CommandError
from django.db import connection

from mlplatform.core.models import Project
from mlplatform.core.startup.started import not_started


def tables_check() -> None:
    """Raises CommandError where the database was never migrated."""
    if Project._meta.db_table not in connection.introspection.table_names():
        raise CommandError(f"The database is empty: {not_started()}")
