#!/bin/sh
# Installs the system's Chromium and a Japanese font for the browser tests, where this user may. Called by test.sh.
# Never fails: the tests themselves say what is missing (and with CI=true they fail for it).
set -u

command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "no chromium: the browser tests are skipped (as root on Debian, make test installs it)"
    exit 0
fi
echo "set-up: installing chromium for the browser tests"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get update && apt-get install -y --no-install-recommends chromium fonts-noto-cjk; } >"$log" 2>&1 </dev/null; then
    echo "chromium could not be installed:"
    tail -n 15 "$log"
fi
rm -f "$log"
