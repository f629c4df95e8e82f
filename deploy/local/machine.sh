#!/usr/bin/env bash
# Names what this machine lacks, with the line that mends it; runs that line as root with CI=true, YES=1 or after a yes.
set -euo pipefail

missing=()
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
java_version=$(java -version 2>&1 | sed -n '1s/.*version "\([0-9]*\).*/\1/p') || true
[ "${java_version:-0}" -ge 17 ] || missing+=(openjdk-17-jre-headless)
command -v mvn >/dev/null || missing+=(maven)
command -v xz >/dev/null || missing+=(xz-utils)
command -v setpriv >/dev/null || missing+=(util-linux)

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Gatepost needs Python 3.11 or later; this is $(python3 --version)." >&2
    exit 1
}
[ ${#missing[@]} -eq 0 ] && exit 0

line="apt-get install -y --no-install-recommends ${missing[*]}"
echo "this machine lacks: ${missing[*]}"
echo "  $line"
if [ "$(id -u)" -ne 0 ]; then
    echo "run that line as root (with sudo), then try again." >&2
    exit 1
fi
if [ "${CI:-}" != true ] && [ "${YES:-}" != 1 ]; then
    read -r -p "run it now? [y/N] " answer || answer=no
    [ "$answer" = y ] || { echo "run that line (or set YES=1), then try again." >&2; exit 1; }
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
$line
