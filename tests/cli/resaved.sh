#!/bin/sh
# A checkpoint that another program has loaded and saved again, as Python's safetensors does: the tensors in the order of
# their names, the metadata in another order and with an entry more. It is the same checkpoint. One whose content is
# another is not.
. "$(dirname "$0")/lib.sh"
old=$(cd "$OLDPWD" && cd "$(dirname "$0")" && pwd)/old_eps.safetensors

cat >resave.py <<'END'
import json, struct, sys

kind, source, target = sys.argv[1:]
data = open(source, "rb").read()
length = struct.unpack("<Q", data[:8])[0]
header = json.loads(data[8 : 8 + length])
metadata = header.pop("__metadata__")
tensors = {name: [row["shape"], data[8 + length :][slice(*row["data_offsets"])]] for name, row in header.items()}
weights = [name for name in sorted(tensors) if name.startswith("adam.m.")]
if kind == "number":  # one bit of one number
    tensors[weights[0]][1] = bytes([tensors[weights[0]][1][0] ^ 1]) + tensors[weights[0]][1][1:]
elif kind == "names":  # two tensors under each other's name
    other = weights[0].replace("adam.m.", "adam.v.")
    tensors[weights[0]], tensors[other] = tensors[other], tensors[weights[0]]
elif kind == "step":
    metadata["step"] = str(int(metadata["step"]) + 1)
metadata = {"format": "pt", **dict(sorted(metadata.items(), reverse=True))}
rows, offset = {"__metadata__": metadata}, 0
for name in sorted(tensors):
    shape, values = tensors[name]
    rows[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + len(values)]}
    offset += len(values)
text = json.dumps(rows).encode()
text += b" " * (-len(text) % 8)
with open(target, "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + b"".join(tensors[name][1] for name in sorted(tensors)))
END

"$flowcl" train moons --labels --steps 3 --batch 8 --width 3 --depth 2 --time-features 2 --samples-every off --out run 2>err ||
    fail "train: $(cat err)"
cp run/checkpoint-0000000003.safetensors new.safetensors
cp "$old" old.safetensors # of the first version that others may have checkpoints of
for name in new old; do
    python3 resave.py same $name.safetensors again.safetensors || fail "resave.py"
    cmp -s $name.safetensors again.safetensors && fail "it was not saved in another way"
    for file in $name again; do
        "$flowcl" sample $file.safetensors --n 5 --steps 3 --out $file.npy >out 2>&1 || fail "$name, $file"
    done
    cmp $name.npy again.npy || fail "$name draws other samples when it is saved again"
    for kind in number names step; do
        python3 resave.py $kind $name.safetensors damaged.safetensors || fail "resave.py"
        "$flowcl" info damaged.safetensors >out 2>err && fail "$name with another $kind is taken"
        grep -q 'damaged.safetensors is damaged: its content does not have the checksum' err || fail "$name, $kind: $(cat err)"
    done
done
