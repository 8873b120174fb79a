#!/bin/sh
# The published protocol in small: a row for each data set and coupling, and a second call that trains nothing.
. "$(dirname "$0")/lib.sh"

small="--flowcl $flowcl --out runs --steps 3 --seeds 1 --points 40"
"$(dirname "$0")/../../tools/protocol.py" $small >out 2>err || fail "protocol.py failed"
[ "$(wc -l <out)" -eq 6 ] || fail "not six lines"
for row in "8gaussians | independent" "8gaussians | ot" "moons | independent" "moons | ot"; do
    printed "| N → $row | "
done
says "8gaussians-ot-0"
cp out first
"$(dirname "$0")/../../tools/protocol.py" $small >out 2>err || fail "protocol.py failed"
cmp out first || fail "the same runs gave another table"
[ ! -s err ] || fail "runs that were there were trained again"
