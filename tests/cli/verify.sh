#!/bin/sh
# The device holds, and a wrong one is found out. $2: a library that, preloaded, spoils what is read from the device.
. "$(dirname "$0")/lib.sh"

expect 0 verify
printed "checks passed in"
narrow
grep -q '^FAILED' out && fail "a failed check went with status 0"
groups="path prediction objective derivative solver sde likelihood coupling"
for group in $groups; do
    grep -q "^ok  *$group " out || fail "no check of the group $group"
done

expect 0 verify --only path --seed 99 --json
json 'o["failed"] == 0 and o["passed"] == len(o["checks"]) and not o["stopped"] and o["seed"] == 99'
json 'all(c["group"] == "path" and c["passed"] and c["error"] <= c["bound"] and c["reason"] for c in o["checks"])'
json '{c["row"] for c in o["checks"]} >= {"linear", "cosine", "vp", "bridge"}'

refused 2 "expected one of path" verify --only paths
refused 1 "no such thing" verify --device "no such thing"

# A signal ends it between two lines.
: >out
"$flowcl" verify >out 2>err </dev/null &
running=$!
while [ ! -s out ] && kill -0 $running 2>/dev/null; do sleep 0.05; done
kill -TERM $running
wait $running
[ $? -eq 1 ] || fail "it ended with another status than 1 when it was stopped"
says "stopped after"

# Not under a sanitizer: its library has to be the first one.
LD_PRELOAD=$2 "$flowcl" --version >out 2>err && [ ! -s err ] || exit 0
LD_PRELOAD=$2 "$flowcl" verify >out 2>err </dev/null
[ $? -eq 1 ] || fail "a wrong device went with another status than 1"
for group in $groups; do
    grep -q "^FAILED  *$group " out || fail "a wrong device passes the group $group"
done
grep -q '^flowcl: [0-9]* of [0-9]* checks failed on .*; the first: path linear, .* above ' err || fail "no sentence"
LD_PRELOAD=$2 "$flowcl" verify --only path --json >out 2>err </dev/null
[ $? -eq 1 ] || fail "a wrong device went with another status than 1"
json 'o["failed"] > 0 and any(not c["passed"] and c["error"] > c["bound"] for c in o["checks"]) and o["seed"] == 1'
exit 0
