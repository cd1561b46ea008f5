#!/bin/sh
# Everything that must hold: style, types, layers, templates, and every test. Arguments go to pytest.
# Four test processes, because many tests wait for a fault to pass: one starts the platform and takes all tests that
# need it, the others the rest.
set -eu
cd "$(dirname "$0")/.."

scripts/install.sh test
scripts/packages.sh
failed=""
scripts/lint.sh || failed="$failed lint"
.venv/bin/python -m pytest --numprocesses 4 --dist loadgroup "$@" || failed="$failed tests"
if [ -n "$failed" ]; then
    echo "make test: failed:$failed" >&2
    exit 1
fi
