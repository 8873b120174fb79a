#!/bin/sh
# The diffusion transformer from training to samples: pictures in colour with classes, resumed bit for bit; and SiT's files.
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
with open("square.npy", "wb") as file:
    file.write(npy("<f4", (40, 1, 4, 4), struct.pack("<640f", *pixels[:640])))
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

# Weights of another program: the averages under their plain names, as a module's state dict, once with a last layer that
# tells a variance behind each pixel's colours, and of square pictures without a word on the data.
expect 0 train square.npy --patch 2 --out square --steps 2 $small
cat >foreign.py <<'END'
import json, random, struct, sys
source, target, doubled, colours = sys.argv[1], sys.argv[2], sys.argv[3] == "doubled", int(sys.argv[4])
data = open(source, "rb").read()
length = struct.unpack("<Q", data[:8])[0]
rows, content, out = json.loads(data[8:8 + length]), data[8 + length:], {}
rows.pop("__metadata__")
blob = b""
for name, row in rows.items():
    if not name.startswith("ema.") and name != "pos_embed":
        continue
    shape, values = row["shape"], content[slice(*row["data_offsets"])]
    if doubled and ".linear." in name:
        step = len(values) // shape[0] * colours
        numbers = step // 4
        values = b"".join(values[i:i + step] + struct.pack(f"<{numbers}f", *[random.gauss(0, 1) for _ in range(numbers)])
                          for i in range(0, len(values), step))
        shape = [2 * shape[0]] + shape[1:]
    out[name.removeprefix("ema.")] = {"dtype": "F32", "shape": shape, "data_offsets": [len(blob), len(blob) + len(values)]}
    blob += values
text = json.dumps(out).encode()
open(target, "wb").write(struct.pack("<Q", len(text)) + text + blob)
END
python3 foreign.py whole/checkpoint-0000000006.safetensors plain.safetensors plain 3
python3 foreign.py whole/checkpoint-0000000006.safetensors sigma.safetensors doubled 3
python3 foreign.py square/checkpoint-0000000002.safetensors square.safetensors doubled 1
for file in plain sigma; do
    expect 0 sample $file.safetensors --config whole/config.yaml --n 6 --label 2 --steps 4 --out $file.npy
    cmp $file.npy x.npy || fail "$file.safetensors draws other samples than its checkpoint"
done
says "half of final_layer.linear.weight, final_layer.linear.bias left out"
expect 0 train colours.npz --labels --patch 2 --init sigma.safetensors --out begun --steps 1 $small
says "half of final_layer.linear.weight, final_layer.linear.bias left out"
printf 'model: dit\nwidth: 8\nheads: 2\ndepth: 2\npatch: 2\n' >net.yaml
expect 0 sample square --n 3 --steps 2 --out one.npy
expect 0 sample square.safetensors --config net.yaml --n 3 --steps 2 --out two.npy
cmp one.npy two.npy || fail "square.safetensors draws other samples than its checkpoint"
refused 1 "pos_embed has 6 places, which make no square" sample plain.safetensors --config net.yaml --n 3 --out one.npy
{ cat net.yaml && echo 'labels: yes'; } >labels.yaml
refused 1 "y_embedder.embedding_table.weight" sample square.safetensors --config labels.yaml --n 3 --out one.npy
sed 's/patch: 2/patch: 4/' net.yaml >patch.yaml
refused 1 "does not fit the model, dit of depth 2, width 8 and patch 4" sample square.safetensors --config patch.yaml --n 3 --out one.npy

refused 1 "for pictures" train moons --out run $small
refused 1 "pictures of 4 x 6 pixels cannot be cut into patches of 3 x 3" train grey.npy --patch 3 --out run $small
refused 2 "3 heads do not divide the width of 8, of which each has an equal share: take heads that do" train grey.npy --patch 2 --out run $small --heads 3
refused 1 "patch has no use with the model mlp" train grey.npy --patch 2 --out run
refused 2 "time-scale" train grey.npy --out run $small --time-scale 0
[ ! -e run ] || fail "a refused training left a folder behind"
