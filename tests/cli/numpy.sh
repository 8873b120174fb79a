#!/bin/sh
# Arrays to NumPy and back: every form in which NumPy writes numbers is read as the same, and what is written here NumPy reads
# as what is printed. Skipped without NumPy; $FCL_TEST_PYTHON names a Python that has it.
. "$(dirname "$0")/lib.sh"
find_python numpy
draw_seed
[ -n "$python" ] || { echo "skipped: no Python here has NumPy"; exit 77; }

# --- from NumPy: one set in many forms, and the same set moved, so that the distance W2 of both is known exactly ---
cat >write.py <<'END'
import os
import numpy as np
draw = np.random.default_rng(int(os.environ["FCL_TEST_SEED"]))
x = np.round(draw.normal(size=(60, 3)) * 64) / 64  # exact in single precision, and in half
np.save("x.npy", x.astype("<f4"))
forms = {"f8": x, "big": x.astype(">f4"), "half": x.astype("<f2"), "columns": np.asfortranarray(x, "<f4"),
         "strided": np.repeat(x, 2, 0).astype("<f4")[::2]}
for name, form in forms.items():
    np.save(f"{name}.npy", form)
np.savez("archive.npz", x=x.astype("<f4"))
np.savez_compressed("deflated.npz", other=x[::-1].astype("<f4"), x=x)
np.save("moved.npy", (x + np.array([3, -4, 12])).astype("<f4"))
np.save("whole.npy", (64 * x).astype("i2"))
np.save("whole64.npy", (64 * x).astype("i8"))
np.save("floats.npy", (64 * x).astype("f4"))
np.save("complex.npy", x.astype("c8"))
np.save("objects.npy", np.array([[None, 1]]), allow_pickle=True)
END
$python write.py || fail "write.py"
expect 0 train x.npy --normalise off --out run --steps 20 --batch 16 --width 8 --depth 1 --samples-every off
flow() { expect 0 sample run --decode "$1" --solver euler --steps 4 --out "$2"; }
flow x.npy x.csv
for form in f8.npy big.npy half.npy columns.npy strided.npy archive.npz deflated.npz:x; do
    flow $form form.csv
    cmp x.csv form.csv || fail "$form is read as other numbers"
done
flow floats.npy floats.csv
for form in whole whole64; do
    flow $form.npy form.csv
    cmp floats.csv form.csv || fail "$form.npy is read as other numbers"
done
expect 0 eval x.npy moved.npy --metrics w2 --floor no --json
json 'abs(o["metrics"]["w2"]["value"] - 13) < 1e-5' # sqrt(9 + 16 + 144)
refused 1 complex.npy eval x.npy complex.npy
refused 1 objects.npy eval x.npy objects.npy

# --- to NumPy: the same samples as .npy, .npz and text; labels; a trajectory ---
cat >read.py <<'END'
import numpy as np
rows = np.loadtxt("rows.csv", delimiter=",")
one, archive = np.load("rows.npy"), np.load("rows.npz")
assert one.dtype == np.float32 and one.shape == (7, 3) and one.flags.c_contiguous
assert np.array_equal(archive["x"], one) and archive["x"].dtype == np.float32
assert np.array_equal(rows.astype(np.float32), one), "the text has other numbers"
path = np.load("path.npy")
assert path.shape == (5, 60, 3) and np.array_equal(path[0], np.load("x.npy"))
assert np.abs(path[-1] - np.loadtxt("x.csv", delimiter=",")).max() < 1e-6
END
for end in npy npz csv; do
    expect 0 sample run --n 7 --steps 3 --out rows.$end
done
expect 0 sample run --decode x.npy --solver euler --steps 4 --times steps --out path.npy
$python read.py >out 2>err || fail "NumPy reads something else"
