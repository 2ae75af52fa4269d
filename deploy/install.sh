#!/usr/bin/env bash
# Put Cloudlet onto this VM as systemd services: /opt/cloudlet, /etc/cloudlet, /var/lib/cloudlet. Run as root; may be repeated.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -t 1 ]; then BOLD=$'\033[1m' PLAIN=$'\033[0m'; else BOLD='' PLAIN=''; fi
say() { printf '%s==>%s %s\n' "$BOLD" "$PLAIN" "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

[ "$(id -u)" -eq 0 ] || die "installing services needs root: sudo make install"
[ -d /run/systemd/system ] || die "systemd does not run here; use \`cloudctl up\` instead"

PREFIX=/opt/cloudlet HOME_DIR=/var/lib/cloudlet ETC=/etc/cloudlet

say "user cloudlet"
getent passwd cloudlet >/dev/null || useradd --system --home-dir "$HOME_DIR" --shell /usr/sbin/nologin cloudlet

say "programs in $PREFIX"
[ -x "$PREFIX/bin/python" ] || "$(.venv/bin/python -c 'import sys; print(sys._base_executable)')" -m venv "$PREFIX"
"$PREFIX/bin/python" -m pip install -qq --disable-pip-version-check .
ln -sf "$PREFIX/bin/cloudctl" /usr/local/bin/cloudctl

say "certificates in $HOME_DIR/pki, flags in $ETC"
"$PREFIX/bin/python" -m cloudctl.cluster.machine --home "$HOME_DIR" --etc "$ETC"
mkdir -p "$HOME_DIR/etcd" "$HOME_DIR/cloud"
chown -R cloudlet:cloudlet "$HOME_DIR/pki" "$HOME_DIR/etcd" "$HOME_DIR"/*.kubeconfig "$HOME_DIR/logs"
chown root:root "$HOME_DIR"/admin.kubeconfig "$HOME_DIR"/kubelet-*.kubeconfig "$HOME_DIR"/proxy.kubeconfig "$HOME_DIR"/cloud.kubeconfig
chmod 0755 "$HOME_DIR"
chgrp cloudlet "$ETC"/*.env

say "units in /etc/systemd/system"
install -m 0644 deploy/systemd/*.service deploy/systemd/cloudlet.target /etc/systemd/system/
install -D -m 0644 docs/systemd.md /usr/local/share/doc/cloudlet/systemd.md
systemctl daemon-reload
systemctl enable --quiet cloudlet.target
systemctl restart cloudlet.target # where it runs already: with the programs of now

say "waiting for the node"
export KUBECONFIG=$HOME_DIR/admin.kubeconfig
cloudctl wait --for=create "node/$(hostname | tr '[:upper:]' '[:lower:]')" --timeout=120s
cloudctl apply -f deploy/addons
cloudctl wait --for=condition=Ready node --all --timeout=120s
say "ready: export KUBECONFIG=$KUBECONFIG"
