#!/bin/sh
# The example in C++: statistics of a model's samples, and why there are none.
. "$(dirname "$0")/lib.sh"
case $2 in /*) statistics=$2 ;; *) statistics=$OLDPWD/$2 ;; esac

seed=${FCL_TEST_SEED-$(date +%s)}
echo "FCL_TEST_SEED=$seed" >&2
python3 - "$seed" >data.csv <<'END'
import random, sys
random.seed(int(sys.argv[1]))
print("\n".join(f"{random.gauss(0.3, 0.2)},{random.gauss(-0.5, 0.7)}" for _ in range(2000)))
END
expect 0 train data.csv --out run --steps 1500 --width 64 --depth 3 --batch 256 --samples-every off
"$statistics" run 2000 >out 2>err || fail "it fails"
python3 - <<'END' || fail "it does not tell the data's means and deviations"
told = [line.split() for line in open("out")]
assert [row[0] for row in told] == ["x1", "x2"], told
for row, (mean, deviation) in zip(told, [(0.3, 0.2), (-0.5, 0.7)]):
    assert abs(float(row[2]) - mean) < 0.1 and abs(float(row[4]) / deviation - 1) < 0.25, row
END
"$statistics" nowhere 10 >out 2>err && fail "it finds a run that is not there"
grep -q nowhere err || fail "it does not say what is missing"
"$statistics" run >out 2>err && fail "it draws without a number"
grep -q "usage: statistics" err || fail "it does not say how it is called"
