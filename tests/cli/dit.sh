#!/bin/sh
# The diffusion transformer from training to samples: pictures in colour with classes, resumed bit for bit.
. "$(dirname "$0")/lib.sh"

# 40 pictures of 4 x 6 pixels in three colours, and their classes; and the same number of grey ones.
python3 - <<'END'
import random, struct, zipfile
random.seed()
def npy(descr, shape, data):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data
pixels = [random.uniform(-1, 1) for i in range(40 * 3 * 4 * 6)]
with zipfile.ZipFile("colours.npz", "w") as file:
    file.writestr("x.npy", npy("<f4", (40, 3, 4, 6), struct.pack(f"<{len(pixels)}f", *pixels)))
    file.writestr("label.npy", npy("<i4", (40,), struct.pack("<40i", *[i % 3 for i in range(40)])))
with open("grey.npy", "wb") as file:
    file.write(npy("<f4", (40, 4, 6), struct.pack("<960f", *pixels[:960])))
END
small="--model dit --width 8 --heads 2 --depth 2 --batch 8 --schedule constant --metrics-every 1"

expect 0 train colours.npz --labels --patch 2 --out whole --steps 6 $small
says "dit of depth 2, width 8 and patch 2" "3 classes" "step 6/6"
[ -s whole/samples-0000000006.png ] || fail "there are no pictures of samples"
expect 0 info whole
printed 'model                "dit"' "final_layer.adaLN_modulation.1.weight" "pos_embed"
expect 0 train colours.npz --labels --patch 2 --out parts --steps 3 $small
expect 0 train --out parts --resume --steps 6
cmp whole/checkpoint-0000000006.safetensors parts/checkpoint-0000000006.safetensors || fail "resuming changed the weights"
refused 1 "it was trained with patch 2, not 1" train --out parts --resume --steps 8 --patch 1
refused 1 "it was trained with time-scale 1000, not 1" train --out parts --resume --steps 8 --time-scale 1

# What is computed again is what was kept, up to rounding.
expect 0 train colours.npz --labels --patch 2 --out again --steps 6 --recompute $small
python3 - <<'END' || fail "what is computed again gives other losses"
import json
a, b = ([json.loads(line)["loss"] for line in open(run + "/metrics.jsonl")] for run in ("whole", "again"))
assert len(a) == 6 and all(abs(x - y) <= 1e-4 * abs(x) for x, y in zip(a, b)), (a, b)
assert a[-1] != a[0]
END

expect 0 sample whole --n 6 --label 2 --steps 4 --out x.npy
expect 0 sample whole --n 6 --label 1 --steps 4 --out x.png
expect 0 train grey.npy --patch 1 --norm rms --mlp swiglu --qk-norm --time-scale -999 --out grey --steps 2 $small
expect 0 sample grey --n 2 --steps 2 --out y.npy
python3 - <<'END' || fail "samples are not pictures of finite numbers"
import math, struct
for name, shape, count in (("x.npy", "(6, 3, 4, 6)", 432), ("y.npy", "(2, 4, 6)", 48)):
    data = open(name, "rb").read()
    assert shape.encode() in data[:128], data[:128]
    assert all(math.isfinite(v) for v in struct.unpack(f"<{count}f", data[-4 * count:]))
END

refused 1 "for pictures" train moons --out run $small
refused 1 "pictures of 4 x 6 pixels cannot be cut into patches of 3 x 3" train grey.npy --patch 3 --out run $small
refused 2 "3 heads do not divide the width of 8" train grey.npy --patch 2 --out run $small --heads 3
refused 2 "patch has no use with the model mlp" train grey.npy --patch 2 --out run
refused 2 "time-scale" train grey.npy --out run $small --time-scale 0
[ ! -e run ] || fail "a refused training left a folder behind"
