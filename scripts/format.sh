#!/bin/sh
# Rewrites the sources: import order, safe fixes, layout.
set -eu
cd "$(dirname "$0")/.."

scripts/install.sh test
.venv/bin/ruff check --fix .
.venv/bin/ruff format .
