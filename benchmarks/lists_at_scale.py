"""How fast every list is at 100,000 jobs on Postgres: pages, REST and console, with each filter, order and a deep page.

    python -m benchmarks.lists_at_scale [--jobs 100000] [--points] [--rounds 10] [--only TEXT] [--url postgres://…]

A private Postgres is started, migrated, filled (`benchmarks.seeds`) and removed again; `--url` names a database of
one's own, which is filled only where it is empty and stays. `--points` adds ten million metric points and a log of a
million lines. Lists are found by walking the URL table. Each address is asked through Django's own stack:
authentication, middleware, rendering, without the socket. Bars: 200 ms at the 95th percentile and 6 queries, those of
authentication counted; the console, and pages that show several things beside a list, have the first alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median, quantiles
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Final

from benchmarks.installation import clients_of, installation_make
from benchmarks.options import options_parser
from benchmarks.verdict import verdict

if TYPE_CHECKING:
    from django.test import Client

    from tests.list_addresses import ListAddress

BAR_MS: Final = 200.0
BAR_QUERIES: Final = 6
N_SHOWN: Final = 25
SEVERAL: Final = {
    "/projects/{project}/",
    "/projects/{project}/costs/",
    "/projects/{project}/workers/",
    "/projects/{project}/endpoints/{endpoint}/async/",
    "/projects/{project}/endpoints/{endpoint}/lives/",
}
"""Pages that show several things: a fixed number of queries too, and the bar of time alone."""
_PLACES: Final = {
    "project": "bench",
    "tuning_job": "tuning-000001",
    "endpoint": "endpoint-000001",
    "experiment": "experiment-000001",
    "dataset": "dataset-000001",
    "uid": f"w{20:025}",
}
_NAMES: Final = {
    "datasets": "dataset-000001",
    "endpoints": "endpoint-000001",
    "evaluations": "evaluation-000001",
    "training-jobs": "xgboost-0000001",
    "tuning-jobs": "tuning-000001",
}


@dataclass(frozen=True)
class Measured:
    """One address: milliseconds of each round, those of them that were this process' own work, and queries."""

    face: str
    list_path: str
    address: str
    status: int
    ms: list[float]
    own_ms: float
    n_queries: int
    slowest_sql: str

    @property
    def p50_ms(self) -> float:
        return sorted(self.ms)[len(self.ms) // 2]

    @property
    def p95_ms(self) -> float:
        return quantiles(self.ms, n=20, method="inclusive")[-1] if len(self.ms) > 1 else self.ms[0]

    @property
    def is_counted(self) -> bool:
        """Whether the bar of queries is for it."""
        return self.face != "console" and self.list_path not in SEVERAL

    @property
    def is_met(self) -> bool:
        few = self.n_queries <= BAR_QUERIES or not self.is_counted
        return self.status < 400 and self.p95_ms <= BAR_MS and few


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument(
        "--jobs", type=int, default=100_000, help="training jobs; everything else in proportion"
    )
    parser.add_argument(
        "--points", action="store_true", help="ten million metric points, a log of a million lines"
    )
    parser.add_argument("--rounds", type=int, default=10, help="requests of each address")
    parser.add_argument("--only", default="", help="only lists whose address has this in it")
    parser.add_argument("--without", default="", help="no list whose address has this in it")
    parser.add_argument("--url", default="", help="of a Postgres database, to be used and kept")
    parser.add_argument(
        "--sql", action="store_true", help="print the slowest query of each address that misses"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlp-bench-") as folder, _database(options.url) as url:
        installation_make(folder, database_url=url)
        _fill(options)
        measured = list(_measured(options))
    _report(measured, options)


@contextmanager
def _database(url: str) -> Iterator[str]:
    if url:
        yield url
        return
    from tests.postgres import postgres_running

    with postgres_running() as cluster:
        yield cluster.database_new("lists")


def _fill(options: argparse.Namespace) -> None:
    from benchmarks.seeds import seed
    from benchmarks.seeds.sizes import Sizes
    from jobs.models import TrainingJob

    if TrainingJob.objects.exists():
        return
    began_at = perf_counter()
    n = seed(Sizes.of(options.jobs, points=options.points))
    print(f"{n:,} rows made in {perf_counter() - began_at:.0f} s", flush=True)


def _measured(options: argparse.Namespace) -> Iterator[Measured]:
    from tests.list_addresses import list_addresses

    clients = _clients()
    for one in list_addresses():
        if options.only not in one.path or (options.without and options.without in one.path):
            continue
        client = clients[one.face]
        for address in _addresses(one, client):
            yield _measure(one, address, client, options.rounds)


def _clients() -> dict[str, Client]:
    """A member's browser, the same person's access key, and an operator's browser."""
    from django.contrib.auth.models import User
    from django.test import Client

    from benchmarks.seeds.people import PERSON
    from mlplatform.core.models import Project, Role
    from mlplatform.core.people.access import Actor

    person = User.objects.get(username=PERSON)
    operator, _made = User.objects.get_or_create(username="operator", is_staff=True, is_superuser=True)
    project = Project.objects.get(name=_PLACES["project"])
    browser, rest = clients_of(Actor(person, project, Role.ADMIN))
    console = Client(raise_request_exception=False, SERVER_NAME="localhost")
    console.force_login(operator)
    return {"page": browser, "REST": rest, "console": console}


def _addresses(one: ListAddress, client: Client) -> Iterator[str]:
    """The list as it is, with all that it offers, the next page and one from its middle."""
    from tests.list_addresses import address_of, deep_cursor, next_cursor, queries_offered

    kind = one.path.removeprefix("/api/v1/projects/{project}/").partition("/")[0]
    path = one.path.format(**_PLACES, name=_NAMES.get(kind, ""))
    yield path
    answer = client.get(path)
    if one.face == "REST":
        cursor = answer.json().get("next") if answer.status_code == 200 else ""
        queries: list[Mapping[str, str]] = [*one.queries, *([{"limit": "100"}] if cursor else [])]
    elif one.face == "page":
        html = answer.content.decode()
        cursor, queries = next_cursor(html), [*queries_offered(html)]
    else:
        yield address_of(path, {"q": "7"})
        return
    for query in queries:
        yield address_of(path, query)
    if cursor:
        oldest = datetime.now(UTC) - timedelta(days=180)
        yield address_of(path, {"cursor": cursor})
        yield address_of(path, {"cursor": deep_cursor(cursor, oldest)})


def _measure(one: ListAddress, address: str, client: Client, rounds: int) -> Measured:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    client.get(address)
    with CaptureQueriesContext(connection) as captured:
        status = client.get(address).status_code
    asked = list(captured.captured_queries)
    took: list[float] = []
    own: list[float] = []
    for _ in range(rounds):
        began_at, own_at = perf_counter(), process_time()
        client.get(address)
        own.append(1000 * (process_time() - own_at))
        took.append(1000 * (perf_counter() - began_at))
    slowest = max(asked, key=lambda query: float(query["time"]), default={"time": "0", "sql": ""})
    sql = f"{slowest['time']} s: {slowest['sql']}"
    return Measured(one.face, one.path, address, status, took, median(own), len(asked), sql)


def _report(measured: list[Measured], options: argparse.Namespace) -> None:
    by_list: dict[str, list[Measured]] = {}
    for one in measured:
        by_list.setdefault(one.list_path, []).append(one)
    print(f"\n{'p50 ms':>8} {'p95 ms':>8} {'own CPU':>8} {'queries':>8}  of     list, its slowest address")
    worst = {path: max(found, key=lambda one: one.p95_ms) for path, found in by_list.items()}
    for path, slowest in sorted(worst.items(), key=lambda pair: -pair[1].p95_ms):
        found = by_list[path]
        n_queries = max(one.n_queries for one in found)
        mark = "" if all(one.is_met for one in found) else "  MISSED"
        print(
            f"{slowest.p50_ms:8.1f} {slowest.p95_ms:8.1f} {slowest.own_ms:8.1f} {n_queries:8}  {len(found):3}  "
            f"{slowest.address[:110]}{mark}"
        )
    _misses([one for one in measured if not one.is_met], options)
    for face in ("page", "REST", "console"):
        _verdicts(face, [one for one in measured if one.face == face])
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{options.rounds} rounds each; load {load}; Python {sys.version.split()[0]}")


def _misses(missed: list[Measured], options: argparse.Namespace) -> None:
    if missed:
        print(f"\nMissed by {len(missed)} addresses, slowest first:")
    for one in sorted(missed, key=lambda one: -one.p95_ms)[: None if options.sql else N_SHOWN]:
        print(
            f"{one.p50_ms:8.1f} {one.p95_ms:8.1f} {one.own_ms:8.1f} {one.n_queries:8}  {one.status}  "
            f"{one.address[:150]}"
        )
        if options.sql:
            print(f"          {one.slowest_sql[:1500]}")


def _verdicts(face: str, found: list[Measured]) -> None:
    if not found:
        return
    verdict(f"lists, {face}: slowest p95", max(one.p95_ms for one in found), BAR_MS, unit="ms")
    counted = [one.n_queries for one in found if one.is_counted]
    if counted:
        verdict(f"lists, {face}: most queries", max(counted), BAR_QUERIES)
    n_met = sum(one.is_met for one in found)
    verdict(f"lists, {face}: addresses within their bars", n_met, len(found), at_least=True)


if __name__ == "__main__":
    main()
