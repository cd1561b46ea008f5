#!/bin/sh
# Makes .venv hold exactly what the platform ("run") or its tests ("test") need. Called by run.sh, test.sh, lint.sh.
set -eu
cd "$(dirname "$0")/.."

python=$(scripts/python.sh)
exec "$python" -I scripts/install.py "$@"
