#!/bin/sh
# Everything that must hold: style, types, layers, templates, and every test. Arguments go to pytest.
set -eu
cd "$(dirname "$0")/.."

scripts/install.sh test
scripts/browser.sh
failed=""
scripts/lint.sh || failed="$failed lint"
.venv/bin/python -m pytest "$@" || failed="$failed tests"
if [ -n "$failed" ]; then
    echo "make test: failed:$failed" >&2
    exit 1
fi
