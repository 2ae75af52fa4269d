#!/usr/bin/env bash
# Put Cloudlet's programs onto this VM: a virtual environment in /opt/cloudlet. `cloudctl init` or `cloudctl join` does the rest.
# Run as root; may be repeated.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -t 1 ]; then BOLD=$'\033[1m' PLAIN=$'\033[0m'; else BOLD='' PLAIN=''; fi
say() { printf '%s==>%s %s\n' "$BOLD" "$PLAIN" "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" -eq 0 ] || die "installing services needs root: sudo make install"
[ -d /run/systemd/system ] || die "systemd does not run here; use \`cloudctl up\` instead"

PREFIX=/opt/cloudlet

say "programs in $PREFIX"
[ -x "$PREFIX/bin/python" ] || "$(.venv/bin/python -c 'import sys; print(sys._base_executable)')" -m venv "$PREFIX"
"$PREFIX/bin/python" -m pip install -qq --disable-pip-version-check .
ln -sf "$PREFIX/bin/cloudctl" /usr/local/bin/cloudctl
install -D -m 0644 -t /usr/local/share/doc/cloudlet docs/systemd.md docs/backup.md

if [ -e /etc/cloudlet/machine.yaml ]; then
    say "this machine is in a cluster: starting its daemons anew with the new programs"
    cloudctl upgrade restart
else
    say "installed; now \`sudo cloudctl init\` makes a cluster here, \`sudo cloudctl join\` joins one"
fi
