#!/bin/sh
# A program whose locale has a decimal comma trains, draws, measures and prints as one in C's locale.
. "$(dirname "$0")/lib.sh"
case $2 in /*) module=$2 ;; *) module=$OLDPWD/$2 ;; esac

[ -d "$LOCPATH/de_DE.UTF-8" ] || exit 77

# both NAME ARGUMENTS...: in either locale, with the output left in c/NAME and de/NAME.
both() {
    name=$1
    shift
    (cd c && "$flowcl" "$@" >"$name" 2>err </dev/null) || fail "flowcl $*: $(cat c/err)"
    (cd de && LC_ALL=de_DE.UTF-8 LD_PRELOAD=$module "$flowcl" "$@" >"$name" 2>err </dev/null) ||
        fail "flowcl $* with a decimal comma: $(cat de/err)"
}
same() {
    cmp "c/$1" "de/$1" || fail "$1 goes by the locale"
}

mkdir c de
both trained train moons --steps 20 --batch 32 --width 8 --depth 2 --lr 0.0125 --weight-decay 0.03 --out run \
    --path "alpha = t^1.25, sigma = 1 - t^1.25" --time "logit-normal(0.25, 1.5)" --weight "1/(0.5 + t)" \
    --metrics-every 10
same run/config.yaml
same run/checkpoint-0000000020.safetensors
python3 - <<'END' || fail "the metrics differ"
import json
rows = [[{key: row[key] for key in ("step", "loss", "gradient_norm", "lr")} for row in map(json.loads, open(f"{folder}/run/metrics.jsonl"))]
        for folder in ("c", "de")]
assert rows[0] == rows[1] and rows[0], rows
END
both sampled sample run --n 50 --steps 5 --grid edm:6.5 --out samples.csv
same samples.csv
both timed sample run --n 10 --steps 4 --times 0,0.25,1 --out times.npy
same times.npy
both explained explain run --solver dopri5 --rtol 1.5e-3
same explained
both shown info run
same shown
both evaluated eval samples.csv moons --metrics mmd,w2 --bandwidth 0.25,0.75 --points 50
same evaluated
both drawn eval run moons --metrics path-energy,nll --n 50 --steps 5
same drawn
both likely likelihood run moons --n 20 --solver euler --steps 4
grep -v seconds c/likely | sed 's/, [0-9.e-]* s$//' >c/likely.rest
grep -v seconds de/likely | sed 's/, [0-9.e-]* s$//' >de/likely.rest
same likely.rest
both verified verify --only path
! grep -E '[0-9],[0-9]' de/sampled de/likely de/verified de/err || fail "a number with a comma is printed"
