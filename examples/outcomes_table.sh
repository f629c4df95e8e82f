#!/usr/bin/env bash
# The same table with kcat and jq:  KAFKA=localhost:19092 examples/outcomes_table.sh
set -euo pipefail

printf '%-12s%-9s%-9s%9s%11s%8s\n' provider channel country sent delivered failed
kcat -q -b "${KAFKA:-localhost:19092}" -t delivery-outcomes -C -o beginning -e |
    jq -r -s '
        unique_by(.id) | map(select(.type | IN("CodeSent", "CodeDelivered", "DeliveryFailed")))
        | group_by([.provider // "-", .channel, .country // "-"])[]
        | [ (.[0] | .provider // "-", .channel, .country // "-"),
            (map(.type) | (map(select(. == "CodeSent")), map(select(. == "CodeDelivered")), map(select(. == "DeliveryFailed"))) | length)
          ] | @tsv' |
    LC_ALL=C sort |
    while IFS=$'\t' read -r provider channel country sent delivered failed; do
        printf '%-12s%-9s%-9s%9d%11d%8d\n' "$provider" "$channel" "$country" "$sent" "$delivered" "$failed"
    done
