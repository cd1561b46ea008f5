#!/bin/sh
# Installs what is missing and becomes the platform: `make run`. Arguments go to `manage.py up`.
set -eu
cd "$(dirname "$0")/.."

scripts/install.sh run
exec .venv/bin/python manage.py up "$@"
