#!/bin/sh
# Installs what is needed and runs all benchmarks, or those that are named; writes docs/benchmarks.md.
set -eu
cd "$(dirname "$0")/.."

scripts/install.sh test
exec .venv/bin/python -m benchmarks "$@"
