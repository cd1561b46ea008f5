#!/bin/sh
# Style, types, layers and templates; shows all findings, not only the first tool's.
set -eu
cd "$(dirname "$0")/.."

scripts/install.sh test
MLPLATFORM_DATA_DIR=$(mktemp -d) # mypy's Django plugin imports the settings
export MLPLATFORM_DATA_DIR
trap 'rm -rf "$MLPLATFORM_DATA_DIR"' EXIT

failed=""
check() {
    name=$1
    shift
    echo "== $name"
    "$@" || failed="$failed $name"
}

check ruff .venv/bin/ruff check .
check mypy .venv/bin/mypy .
check lint-imports .venv/bin/lint-imports
check djlint .venv/bin/djlint --lint --quiet templates mlplatform
if [ -n "$failed" ]; then
    echo "not clean:$failed" >&2
    exit 1
fi
