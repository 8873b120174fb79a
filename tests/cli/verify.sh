#!/bin/sh
# The device holds, and a wrong one is found out.
. "$(dirname "$0")/lib.sh"

expect 0 verify --only path
printed "checks passed in" "slopes against difference quotients" "cosine"
grep -q '^FAILED' out && fail "a failed check went with status 0"

expect 0 verify --only path --seed 99 --json
json 'o["failed"] == 0 and o["passed"] == len(o["checks"]) and not o["stopped"] and o["seed"] == 99'
json 'all(c["group"] == "path" and c["passed"] and c["error"] <= c["bound"] and c["reason"] for c in o["checks"])'
json '{c["row"] for c in o["checks"]} >= {"linear", "cosine", "vp", "bridge"}'

refused 2 "expected one of path" verify --only paths
refused 1 "no such thing" verify --device "no such thing"
exit 0
