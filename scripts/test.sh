#!/bin/sh
# Everything that must hold: style, types, layers, templates, and every test, on SQLite and, where a database or a broker
# can make a difference, once more on Postgres and Redis. Arguments go to pytest, both times.
# One test process more than cores, because many tests wait: for a fault to pass, for a page to change. Not many more:
# tests have processes of their own, and what takes turns at a core loses a third of it to cold caches.
# tests/schedule.py says which process runs what.
set -eu
cd "$(dirname "$0")/.."

scripts/install.sh test
scripts/packages.sh
failed=""
said=$(mktemp)
trap 'rm -f "$said"' EXIT

# One core lints while the other begins with the tests; what was found is shown between the two runs.
scripts/lint.sh >"$said" 2>&1 </dev/null &
linting=$!

# Hundreds of processes start from these sources, and each test process reads all tests: both are compiled once.
unset PYTHONDONTWRITEBYTECODE
.venv/bin/python -m compileall -q jobs endpoints monitoring mlplatform || true
.venv/bin/python -m pytest --collect-only -qq "$@" >/dev/null 2>&1 </dev/null || true

run_on() { # a name, the services, arguments of pytest
    name=$1
    services=$2
    shift 2
    echo "== tests on $name"
    status=0
    TEST_ON=$services .venv/bin/python -m pytest --numprocesses 3 --dist loadgroup "$@" || status=$?
    if [ "$services" = postgres ] && [ "$status" -eq 5 ]; then
        echo "none of these tests uses a database or a broker: they need not run twice"
        status=0
    fi
    if [ "$status" -eq 9 ]; then # a few, and all where times are promised: tests/schedule.py
        echo "== tests on $name that were perhaps only late, once more and alone: what fails again has failed"
        status=0
        TEST_ON=$services .venv/bin/python -m pytest --last-failed --last-failed-no-failures none "$@" || status=$?
        [ "$status" -ne 5 ] || status=1 # nothing to run again is no success
    fi
    [ "$status" -eq 0 ] || failed="$failed tests-on-$services"
}

run_on "SQLite" sqlite "$@"
wait "$linting" || failed="$failed lint"
cat "$said"
run_on "Postgres and Redis" postgres "$@"
if [ -n "$failed" ]; then
    echo "make test: failed:$failed" >&2
    exit 1
fi
