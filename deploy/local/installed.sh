#!/usr/bin/env bash
# Fills .venv with what requirements.lock names, and brings Kafka and PostgreSQL meanwhile.
# Two pips, half of the lock each, take ten seconds less than one. The lock is whole, so that neither looks further.
set -euo pipefail
halves=$(mktemp -d)
jobs=()
trap 'kill "${jobs[@]}" 2>/dev/null || true; rm -rf "$halves"' EXIT
awk -v to="$halves/" '{ print > (to n % 2) } !/\\$/ { n++ }' requirements.lock
for half in "$halves"/*; do
    .venv/bin/python -m pip install --disable-pip-version-check -q --no-compile --no-deps --require-hashes -r "$half" &
    jobs+=($!)
done
# Whatever is wrong with these, the command that needs them will say; here it would stand between pip's lines.
.venv/bin/python -c 'from deploy.local import servers; servers.fetched()' 2>/dev/null || true
failed=0
for job in "${jobs[@]}"; do
    wait "$job" || failed=1
done
exit "$failed"
