#!/bin/sh
# Recompiles the pinned requirements from their .in files; `make lock ARGS=--upgrade` takes newer versions.
set -eu
cd "$(dirname "$0")/.."

python=$(scripts/python.sh)
uv=$("$python" -I scripts/install.py uv)
compile() {
    name=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes "$@" "$name.in" -o "$name.txt"
}
for name in base frameworks gpu test uv; do
    compile "requirements/$name" "$@"
done
compile requirements/redis --no-deps "$@"
for name in mlserver mlflow; do # servers that benchmarks compare with
    compile "benchmarks/rivals/$name" --override benchmarks/rivals/overrides.txt "$@"
done
