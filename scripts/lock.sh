#!/bin/sh
# Recompiles the pinned requirements from their .in files; `make lock ARGS=--upgrade` takes newer versions.
set -eu
cd "$(dirname "$0")/.."

python=$(scripts/python.sh)
uv=$("$python" -I scripts/install.py uv)
compile() {
    name=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes "$@" \
        "requirements/$name.in" -o "requirements/$name.txt"
}
for name in base frameworks test uv; do
    compile "$name" "$@"
done
compile redis --no-deps "$@"
