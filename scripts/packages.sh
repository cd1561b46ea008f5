#!/bin/sh
# Installs the system's programs that the tests need and that are missing, where this user may: a browser with a Japanese
# font, bubblewrap (the sandbox), PostgreSQL's server (private clusters of the tests), iproute2 (machines with networks
# of their own). Called by test.sh.
# Never fails: the tests themselves say what is missing (and with CI=true they fail for it).
set -u

has_postgres() {
    command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

missing=""
command -v chromium >/dev/null 2>&1 || missing="$missing chromium fonts-noto-cjk"
command -v bwrap >/dev/null 2>&1 || missing="$missing bubblewrap"
command -v ip >/dev/null 2>&1 || missing="$missing iproute2"
has_postgres || missing="$missing postgresql"
[ -z "$missing" ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "not on this machine:$missing; tests that need it are skipped (as root on Debian, make test installs it)"
    exit 0
fi
echo "set-up: installing$missing for the tests"
export DEBIAN_FRONTEND=noninteractive
case $missing in *postgresql*)
    # Debian's packages make and start a cluster of the machine's own, which nobody asked for.
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    fi
    ;;
esac
log=$(mktemp)
# shellcheck disable=SC2086  # a list of words
if ! { apt-get update && apt-get install -y --no-install-recommends -o Dpkg::Options::=--force-confold $missing; } >"$log" 2>&1 </dev/null; then
    echo "could not be installed:$missing"
    tail -n 15 "$log"
fi
rm -f "$log"
