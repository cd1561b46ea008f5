#!/bin/sh
# Installs what is missing and becomes the platform: `make run`. Arguments go to `manage.py up`.
set -eu
cd "$(dirname "$0")/.."

scripts/install.sh run
# Processes in a sandbox cannot write what they compile, and would compile it at every start.
.venv/bin/python -m compileall -q jobs endpoints monitoring mlplatform || true
exec .venv/bin/python manage.py up "$@"
