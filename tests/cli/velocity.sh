#!/bin/sh
# The example in Python, by ctypes: its velocities are what the program's own steps go along. Skipped without NumPy.
#     velocity.sh FLOWCL SOURCES LIBRARY
. "$(dirname "$0")/lib.sh"
sources=$2 library=$3
python=
for candidate in python3 /usr/bin/python3; do
    [ -n "$python" ] || ! $candidate -c "import numpy" 2>none || python=$candidate
done
[ -n "$python" ] || exit 77

expect 0 train moons --out run --steps 300 --width 32 --depth 2 --batch 256 --samples-every off
expect 0 sample run --n 50 --solver euler --steps 8 --times steps --out steps.npy
cat >compare.py <<'END'
import sys
sys.path.insert(0, sys.argv[3])
import numpy as np
import velocity
model, x = velocity.Model(sys.argv[1]), np.load("steps.npy")
assert x.shape == (9, 50, 2)
for k in range(8):
    v = model.velocity(x[k], np.full(50, k / 8))
    assert v.shape == (50, 2) and np.abs(x[k] + v / 8 - x[k + 1]).max() < 1e-5, k
try:
    model.velocity(x[0], np.full(50, 2.0))
    sys.exit("a time of 2 is taken")
except RuntimeError as fault:
    assert "the time of sample 1 is 2, and not from 0 to 1" in str(fault)
END
$python compare.py run "$library" "$sources/examples" >out 2>err || fail "its velocities are others"
$python "$sources/examples/velocity.py" run "$library" >out 2>err || fail "it fails"
grep -q "^mean .*, deviation " out || fail "it tells no mean"
$python "$sources/examples/velocity.py" nowhere "$library" >out 2>err && fail "it finds a model that is not there"
grep -q "RuntimeError: .*nowhere" err || fail "it does not say what is missing"
