"""A platform that has been in use for half a year, made by Postgres itself in a minute or two. No benchmark itself.

Rows come from `generate_series`, so that a hundred thousand jobs take seconds; what a column is not told here has its
model's default. Sizes of JSON fields are those of real jobs on Covertype (54 features). Each module says what there is
of one noun.
"""

from __future__ import annotations

from typing import Final

from django.db import connection

from benchmarks.seeds import datasets, endpoints, evaluations, jobs, kept, measurements, people, tuning, work
from benchmarks.seeds.rows import fill
from benchmarks.seeds.sizes import Sizes

_NOUNS: Final = (people, datasets, jobs, measurements, tuning, endpoints, evaluations, work, kept)
"""In the order in which they refer to one another; numbers of log streams follow it too."""


def seed(sizes: Sizes) -> int:
    """Fills an empty, migrated database; how many rows there are then."""
    n = sum(fill(rows) for noun in _NOUNS for rows in noun.seeds(sizes))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return n
