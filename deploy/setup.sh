#!/usr/bin/env bash
# Bring a bare Debian or Ubuntu machine to where `cloudctl up` can run: packages, virtual environment, Docker.
# Says each step, does nothing that is done already, and names what is wrong when it cannot go on.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ -t 1 ]; then BOLD=$'\033[1m' PLAIN=$'\033[0m'; else BOLD='' PLAIN=''; fi
say() { printf '%s==>%s %s\n' "$BOLD" "$PLAIN" "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
have() { PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin" command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"
    elif have sudo; then sudo "$@"
    else die "root is needed for: $* (no sudo on this machine)"
    fi
}

# program:package
NEEDS="etcd:etcd-server etcdctl:etcd-client dockerd:docker.io nft:nftables iptables:iptables ip:iproute2 haproxy:haproxy
       busybox:busybox-static conntrack:conntrack mkfs.ext4:e2fsprogs nsenter:util-linux losetup:mount dpkg-deb:dpkg sysctl:procps
       docker:docker-cli mmdebstrap:mmdebstrap"
[ "${1:-}" != --no-docker ] || NEEDS="etcd:etcd-server etcdctl:etcd-client"

python_of() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[1-9]*/bin/python3; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
           "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"; return
        fi
    done
}

install_packages() {
    local missing="" entry program package
    for entry in $NEEDS; do
        program=${entry%%:*} package=${entry##*:}
        have "$program" || missing="$missing $package"
    done
    local python; python=$(python_of)
    if [ -z "$python" ]; then missing="$missing python3 python3-venv"
    elif [ ! -x .venv/bin/python ] && ! "$python" -c 'import ensurepip' 2>/dev/null; then missing="$missing python3-venv"
    fi
    [ -n "$missing" ] || { say "packages: all there"; return; }
    have apt-get || die "missing:$missing; this script installs them with apt-get only"
    say "packages:$missing"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq || die "apt-get update failed: is the network there?"
    # Releases up to Debian 12 have the client in docker.io.
    apt-cache show docker-cli >/dev/null 2>&1 || missing=${missing/ docker-cli/}
    # shellcheck disable=SC2086 # one word per package
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null ||
        die "apt-get cannot install:$missing"
    # Debian starts these services on installation; a cluster runs its own.
    if [ -d /run/systemd/system ]; then
        for package in etcd-server:etcd haproxy:haproxy; do
            case "$missing" in *" ${package%%:*}"*) as_root systemctl disable --now --quiet "${package##*:}" || true ;; esac
        done
    fi
}

make_venv() {
    local python stamp
    python=$(python_of)
    [ -n "$python" ] || die "Python 3.11 or newer is needed; set PYTHON to one"
    stamp=$(cat pyproject.toml <("$python" -V) | sha256sum | cut -d' ' -f1)
    if [ -x .venv/bin/cloudctl ] && [ "$(cat .venv/.stamp 2>/dev/null)" = "$stamp" ]; then
        say "virtual environment: up to date"
        return
    fi
    say "virtual environment: .venv with $("$python" -V)"
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    # The dev group is read here because older pips do not know `--group`.
    .venv/bin/python - > .venv/dev.txt <<'PY'
import tomllib

with open("pyproject.toml", "rb") as file:
    print("\n".join(tomllib.load(file)["dependency-groups"]["dev"]))
PY
    PYTHONDONTWRITEBYTECODE='' .venv/bin/python -m pip install -qq --disable-pip-version-check -e . -r .venv/dev.txt ||
        die "pip cannot install the dependencies (see above): is the package index reachable?"
    echo "$stamp" > .venv/.stamp
}

docker_answers() { .venv/bin/python -c 'import docker; docker.from_env(timeout=5).ping()' >/dev/null 2>&1; }

start_docker() {
    if docker_answers; then say "Docker: running"; return; fi
    [ "$(id -u)" -eq 0 ] || die "Docker does not answer to this user: be root, or simulate nodes (deploy/setup.sh --no-docker)"
    if [ -d /run/systemd/system ]; then
        say "Docker: starting it with systemd"
        systemctl enable --now --quiet docker || die "systemctl cannot start docker: see 'journalctl -u docker'"
    else
        say "Docker: starting dockerd (log: /var/log/dockerd.log)"
        PATH="$PATH:/usr/sbin:/sbin" setsid nohup dockerd >>/var/log/dockerd.log 2>&1 </dev/null &
    fi
    for _ in $(seq 120); do
        if docker_answers; then return; fi
        sleep 0.5
    done
    die "Docker does not answer after 60 s: see /var/log/dockerd.log or 'journalctl -u docker'"
}

install_packages
make_venv
[ "${1:-}" = --no-docker ] || start_docker
