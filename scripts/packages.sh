#!/bin/sh
# Installs the system's programs that the tests need and that are missing, where this user may: a browser with a Japanese
# font, bubblewrap (the sandbox), PostgreSQL's server (private clusters of the tests), iproute2 (machines with networks
# of their own). Called by test.sh.
# Of the browsers the shell without windows is taken where the system has it: a test's page takes a fifth of the processor
# time there.
# Never fails: the tests themselves say what is missing (and with CI=true they fail for it).
set -u

has_postgres() {
    command -v initdb >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1
}

missing=""
lighter=""
command -v chromium-headless-shell >/dev/null 2>&1 || lighter=chromium-headless-shell
[ -z "$lighter" ] || command -v chromium >/dev/null 2>&1 || missing="$missing chromium fonts-noto-cjk"
command -v bwrap >/dev/null 2>&1 || missing="$missing bubblewrap"
command -v ip >/dev/null 2>&1 || missing="$missing iproute2"
has_postgres || missing="$missing postgresql"
[ -z "$missing$lighter" ] && exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    [ -z "$missing" ] || echo "not on this machine:$missing; tests that need it are skipped (as root on Debian, make test installs it)"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
apt-get update >"$log" 2>&1 </dev/null || true
otherwise=$missing
if [ -n "$lighter" ] && apt-cache show "$lighter" >/dev/null 2>&1; then
    missing=$(echo "$missing" | sed "s/ chromium / /")" $lighter"
fi
if [ -z "$missing" ]; then
    rm -f "$log"
    exit 0
fi
echo "set-up: installing$missing for the tests"
case $missing in *postgresql*)
    # Debian's packages make and start a cluster of the machine's own, which nobody asked for.
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        mkdir -p /etc/postgresql-common
        echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.conf
    fi
    ;;
esac
install() {
    # shellcheck disable=SC2086  # a list of words
    apt-get install -y --no-install-recommends -o Dpkg::Options::=--force-confold $1 >>"$log" 2>&1 </dev/null
}
if ! install "$missing" && { [ "$otherwise" = "$missing" ] || ! install "$otherwise"; }; then
    echo "could not be installed:$missing"
    tail -n 15 "$log"
fi
rm -f "$log"
