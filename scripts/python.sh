#!/bin/sh
# Prints the path of a Python that can run the platform, or says what is missing. Called by install.sh.
set -eu

wanted="${PYTHON:-python3.11 python3.12 python3.13 python3.14 python3 python}"
newest=""
for name in $wanted; do
    found=$("$name" -c 'import sys; print("%d.%d" % sys.version_info[:2], sys.executable)' 2>/dev/null) || continue
    version=${found%% *}
    major=${version%%.*}
    minor=${version#*.}
    if [ "$major" -eq 3 ] && [ "$minor" -ge 11 ]; then
        printf '%s\n' "${found#* }"
        exit 0
    fi
    newest="$newest $name is $version;"
done

{
    if [ -n "$newest" ]; then
        echo "mlplatform needs Python 3.11 or newer, and found only:$newest"
    else
        echo "mlplatform needs Python 3.11 or newer, and found none (tried: $wanted)."
    fi
    echo "On Debian or Ubuntu: apt-get install python3 python3-venv. To name one yourself: PYTHON=/path/to/python3.11 make run"
} >&2
exit 1
