#!/bin/sh
# --model unet: trained on pictures, resumed, drawn; its weights as another program's, and what it refuses.
. "$(dirname "$0")/lib.sh"

cat >pictures.py <<'END'
import random, struct, zipfile
def npy(kind, shape, packed):
    head = "{'descr': '%s', 'fortran_order': False, 'shape': %s, }" % (kind, shape)
    head += " " * (63 - (len(head) + 10) % 64) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head.encode() + packed
labels = [random.randrange(3) for _ in range(48)]
pixels = bytes(min(255, 60 * k + random.randrange(80)) for k in labels for _ in range(8 * 12))
with zipfile.ZipFile("pictures.npz", "w") as file:
    file.writestr("x.npy", npy("|u1", (48, 1, 8, 12), pixels))
    file.writestr("y.npy", npy("<i8", (48,), struct.pack("<48q", *labels)))
END
python3 pictures.py || fail "no pictures"

# It is the model of pictures where none is named, with its own defaults of what trains it.
small="--multipliers 1,2 --heads 2 --batch 8 --samples-every off"
expect 0 train pictures.npz --labels $small --steps 5 --dropout 0.1 --out run
says "unet of 32 channels by 1,2 and 1 block a size"
grep -q '^model: unet' run/config.yaml && grep -q '^lr: 0.001' run/config.yaml && grep -q '^schedule: warmup' run/config.yaml ||
    fail "config.yaml does not tell the model that was chosen, and how it is trained"
refused 1 "width has no use with the model unet" train pictures.npz --width 8 --out none
says "pictures have the model unet where no other is named"
expect 0 train pictures.npz --model mlp --width 8 --depth 1 --steps 1 --samples-every off --out flat
says "mlp of depth 1 and width 8"
grep -q '^batch: 256' flat/config.yaml || fail "an mlp has the batch of another model"
expect 0 train pictures.npz --labels $small --steps 5 --dropout 0.1 --out parts --checkpoint-every 3
rm parts/checkpoint-0000000005.safetensors
expect 0 train --resume --out parts --steps 5
says "resumes parts/checkpoint-0000000003.safetensors"
python3 - <<'END' || fail "a run that was interrupted ends with other weights"
import struct
def tensors(run):
    data = open(run + "/checkpoint-0000000005.safetensors", "rb").read()
    return data[8 + struct.unpack("<Q", data[:8])[0]:]
assert len(tensors("run")) > 4 * 4 * 700000 and tensors("run") == tensors("parts")
END
expect 0 info run
printed "  output_blocks.0.0.skip_connection.weight (64, 128, 1, 1)" "  out.2.bias                               (1)"
narrow
expect 0 sample run --n 6 --label 2 --steps 2 --solver euler --out drawn.npy
expect 0 sample run --n 6 --label 2 --steps 2 --solver euler --ema no --out plain.npy
python3 - <<'END' || fail "the samples are no pictures of 8 x 12"
import struct
data = open("drawn.npy", "rb").read()
assert b"'shape': (6, 1, 8, 12)" in data[:128], data[:128]
numbers = struct.unpack("<576f", data[-4 * 576:])
assert all(abs(x) < 1e6 for x in numbers) and len(set(numbers)) > 500
END

# The weights alone, as a state dict: by their names, of what the configuration says.
cat >strip.py <<'END'
import json, struct
data = open("run/checkpoint-0000000005.safetensors", "rb").read()
length = struct.unpack("<Q", data[:8])[0]
rows, kept, content = json.loads(data[8:8 + length]), {}, b""
for name, row in reversed(rows.items()):
    if name.startswith(("time_embed.", "label_emb.", "input_blocks.", "middle_block.", "output_blocks.", "out.")):
        begin, end = row["data_offsets"]
        kept[name] = row | {"data_offsets": [len(content), len(content) + end - begin]}
        content += data[8 + length + begin:8 + length + end]
assert kept["input_blocks.3.1.qkv.weight"]["shape"] == [192, 64, 1]
text = json.dumps(kept).encode()
open("state.safetensors", "wb").write(struct.pack("<Q", len(text)) + text + content)
END
python3 strip.py || fail "strip.py"
printf 'data: pictures.npz\nlabels: yes\nmodel: unet\nmultipliers: "1,2"\nheads: 2\n' >config.yaml
expect 0 sample state.safetensors --config config.yaml --n 6 --label 2 --steps 2 --solver euler --out foreign.npy
cmp plain.npy foreign.npy || fail "the same weights under another program's name draw other pictures"
expect 0 train pictures.npz --labels $small --steps 1 --init state.safetensors --out begun
grep -v data: config.yaml >unseen.yaml
refused 1 "name the data in the configuration" info state.safetensors --config unseen.yaml

refused 2 "channels 40 are not divisible by 32" train pictures.npz --model unet --channels 40 --out no
refused 2 "heads 2 and head-channels 32 both say" train pictures.npz --model unet --heads 2 --head-channels 32 --out no
refused 1 "one of 8 x 12 has sides that 16 does not divide" train pictures.npz --model unet --multipliers 1,1,1,1,1 --out no
refused 1 "attention 14 never occurs: the heights of the picture on its way are 8, 4, 2" \
    train pictures.npz --model unet --attention 14 --out no
refused 1 "heads 5 does not divide the 64 channels that attend where pictures are 4 high: take one that does" train pictures.npz --model unet --heads 5 --out no
refused 1 "the model unet takes pictures, (channels, height, width), and a sample is (2,)" train moons --model unet --out no
refused 2 "width has no use with the model unet, which reads channels, multipliers" train moons --model unet --width 64 --out no
[ ! -e no ] || fail "a refused training left a folder behind"
exit 0
