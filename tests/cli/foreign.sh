#!/bin/sh
# Weights of another program: safetensors files as PyTorch's state dicts are saved, without flowcl's metadata. Their
# tensors are found by name, by order or by a list, in every type; samples are held against Euler steps in Python's
# doubles, and what does not fit is refused with all that is missing or left over.
. "$(dirname "$0")/lib.sh"

cat >weights.py <<'END'
"""The networks of this script: random, in files under any names and types, and solved in doubles."""
import csv, json, math, random, struct, sys

SEED = int(sys.argv[1])
FORMATS = {"F64": "d", "F32": "f", "F16": "e", "I64": "q"}


def encode(dtype, values):
    if dtype == "BF16":  # the upper half of a float
        return b"".join(struct.pack("<f", v)[2:] for v in values)
    return struct.pack(f"<{len(values)}{FORMATS[dtype]}", *values)


def decode(dtype, data):
    if dtype == "BF16":
        return [struct.unpack("<f", b"\0\0" + data[i : i + 2])[0] for i in range(0, len(data), 2)]
    return list(struct.unpack(f"<{len(data) // struct.calcsize(FORMATS[dtype])}{FORMATS[dtype]}", data))


def save(path, tensors, metadata=None):
    """tensors: name -> (dtype, shape, bytes), in an order that says nothing."""
    names = sorted(tensors)
    random.Random(SEED).shuffle(names)
    rows, data = {"__metadata__": metadata} if metadata else {}, b""
    for name in names:
        dtype, shape, values = tensors[name]
        rows[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(rows).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def load(path):
    data = open(path, "rb").read()
    length = struct.unpack("<Q", data[:8])[0]
    rows = json.loads(data[8 : 8 + length])
    rows.pop("__metadata__", None)
    return {n: (r["dtype"], r["shape"], data[8 + length :][slice(*r["data_offsets"])]) for n, r in rows.items()}


class Net:
    """SELU layers over (x, t, sines, cosines, embedding), with weights that the type holds."""

    def __init__(self, dtype="F32", depth=2, width=12, size=2, classes=0, features=0, seed=SEED):
        draw = random.Random(seed)
        self.dtype, self.layers = dtype, []
        first = size + 1 + 2 * features + (32 if classes else 0)
        for out, into in [(width, first)] + [(width, width)] * (depth - 1) + [(size, width)]:
            weight = self.round([draw.uniform(-2, 2) / math.sqrt(into) for _ in range(out * into)])
            self.layers.append((out, into, weight, self.round([draw.uniform(-0.5, 0.5) for _ in range(out)])))
        self.label = self.round([draw.gauss(0, 1) for _ in range(32 * classes)])
        self.frequency = self.round([math.pi * (k + 1) for k in range(features)])

    def round(self, values):
        return decode(self.dtype, encode(self.dtype, values))

    def tensors(self, weight, bias, label="label.weight", frequency="time.frequency"):
        """Under the names that weight(i) and bias(i) give."""
        found = {}
        for i, (out, into, w, b) in enumerate(self.layers):
            found[weight(i)] = (self.dtype, [out, into], encode(self.dtype, w))
            found[bias(i)] = (self.dtype, [out], encode(self.dtype, b))
        if self.label:
            found[label] = (self.dtype, [len(self.label) // 32, 32], encode(self.dtype, self.label))
        if self.frequency:
            found[frequency] = (self.dtype, [len(self.frequency)], encode(self.dtype, self.frequency))
        return found

    def velocity(self, x, t, label):
        h = x + [t] + [math.sin(f * t) for f in self.frequency] + [math.cos(f * t) for f in self.frequency]
        h += self.label[32 * label : 32 * label + 32]
        for k, (out, into, w, b) in enumerate(self.layers):
            h = [sum(w[i * into + j] * h[j] for j in range(into)) + b[i] for i in range(out)]
            if k < len(self.layers) - 1:
                h = [1.0507009873554805 * (v if v > 0 else 1.6732632423543772 * math.expm1(v)) for v in h]
        return h

    def euler(self, x, steps, label):
        for k in range(steps):
            x = [a + v / steps for a, v in zip(x, self.velocity(x, k / steps, label))]
        return x


def dotted(stem):
    return (lambda i: f"{stem(i)}.weight"), (lambda i: f"{stem(i)}.bias")


def sequence(net, name="net"):
    """As nn.Sequential names them: there is an activation between two layers."""
    return net.tensors(*dotted(lambda i: f"{name}.{2 * i}"))


def numbers(path):
    rows = list(csv.reader(open(path)))
    return [[float(v) for v in row[:2]] for row in rows if row[0][0] in "-0123456789"]


def check(net, steps=10, label=0):
    """samples.csv has what the net carries noise.csv to."""
    noise, samples = numbers("noise.csv"), numbers("samples.csv")
    assert len(noise) == len(samples) > 0, (len(noise), len(samples))
    for x, y in zip(noise, samples):
        right = net.euler(x, steps, label)
        assert all(abs(a - b) < 2e-5 * max(1, abs(b)) for a, b in zip(y, right)), (x, y, right)
END
seed=${FCL_TEST_SEED:-$(date +%s)}
python() { # python CODE: with all of the above
    printf 'from weights import *\n%s\n' "$1" >code.py
    python3 code.py "$seed" >said 2>&1 || fail "FCL_TEST_SEED=$seed: $(cat said)"
}
python 'draw = random.Random(SEED + 1)
with open("noise.csv", "w") as file:
    file.writelines(f"{draw.gauss(0, 1):.9g},{draw.gauss(0, 1):.9g}\n" for _ in range(20))'
printf 'width: 12\ndepth: 2\nactivation: selu\n' >config.yaml

# solved NET FILE WORDS ARGUMENTS...: the program carries the noise to where the Python expression NET does, and WORDS
# are said of the names.
solved() {
    net=$1
    file=$2
    words=$3
    shift 3
    expect 0 sample "$file" --decode noise.csv --steps 10 --out samples.csv --config config.yaml "$@"
    says "$words"
    python "check($net)"
}

# --- names as they are, and by order ---
python 'net = Net()
save("own.safetensors", net.tensors(*dotted(lambda i: f"layers.{i}")))
save("order.safetensors", sequence(net), {"format": "pt"})
save("bare.safetensors", net.tensors(*dotted(lambda i: f"{2 * i}")))
save("other.safetensors", sequence(net, "layers"))
save("words.safetensors", net.tensors(*dotted(lambda i: ["in", "middle", "a_last"][i])))
save("flat.safetensors", net.tensors(lambda i: f"w{i}", lambda i: f"b{i}"))
save("lists.safetensors", net.tensors(lambda i: f"weights.{i}", lambda i: f"biases.{i}"))'
solved 'Net()' own.safetensors 'names taken as they are'
solved 'Net()' order.safetensors \
    'names matched by order: layers.0.weight from net.0.weight, layers.0.bias from net.0.bias, layers.1.weight from net.2.weight'
solved 'Net()' bare.safetensors 'layers.2.bias from 4.bias'
solved 'Net()' other.safetensors 'layers.2.weight from layers.4.weight'
solved 'Net()' words.safetensors 'layers.2.weight from a_last.weight'
solved 'Net()' flat.safetensors 'layers.1.bias from b1'
solved 'Net()' lists.safetensors 'layers.1.bias from biases.1'

# net.10 comes after net.2.
python 'save("deep.safetensors", sequence(Net(depth=7), "module.net"))'
sed 's/depth: 2/depth: 7/' config.yaml >deep.yaml
expect 0 sample deep.safetensors --config deep.yaml --decode noise.csv --steps 10 --out samples.csv
says 'layers.5.weight from module.net.10.weight'
python 'check(Net(depth=7))'

# --- by a list, which may leave tensors aside ---
python 'both = {**sequence(Net()), **sequence(Net(seed=SEED + 9), "ema.net"), "steps": ("I64", [], bytes(8))}
save("both.safetensors", both)
for name in ("net", "ema.net"):
    with open(name + ".yaml", "w") as file:
        file.writelines(f"layers.{i}.{what}: {name}.{2 * i}.{what}\n" for i in range(3) for what in ("weight", "bias"))'
solved 'Net()' both.safetensors 'names matched by net.yaml: layers.0.weight from net.0.weight' --names net.yaml
says 'left over ema.net.0.bias (12,), ema.net.0.weight (12, 3)' 'steps ()'
solved 'Net(seed=SEED + 9)' both.safetensors 'layers.2.bias from ema.net.4.bias' --names ema.net.yaml
refused 1 'left over ema.net.0.bias (12,), ema.net.0.weight (12, 3), ema.net.2.bias (12,), ema.net.2.weight (12, 12), ema.net.4.bias (2,), ema.net.4.weight (2, 12), net.0.bias (12,)' \
    info both.safetensors --config config.yaml
says '--names' 'steps ()'

# --- types ---
for type in F16 BF16 F64; do
    python "save('$type.safetensors', sequence(Net('$type')))"
    solved "Net('$type')" $type.safetensors "$type turned into F32"
done
python 'def with_bias(dtype, values):
    return {**sequence(Net()), "net.2.bias": (dtype, [12], encode(dtype, values + [0] * 11))}
save("whole.safetensors", with_bias("I64", [1]))
save("huge.safetensors", with_bias("F64", [1e39]))
save("nan.safetensors", with_bias("F16", [math.nan]))'
refused 1 'tensor "net.2.bias" has dtype I64' info whole.safetensors --config config.yaml
refused 1 'number 1 of tensor "net.2.bias" is infinite in single precision' info huge.safetensors --config config.yaml
refused 1 'number 1 of tensor "net.2.bias" is NaN' info nan.safetensors --config config.yaml

# --- classes and the features of time: how many classes follows from the weights ---
python 'net = Net(classes=3, features=4)
save("classes.safetensors", net.tensors(*dotted(lambda i: f"net.{2 * i}"), "embedding.weight", "time.freqs"))'
{ cat config.yaml && printf 'labels: yes\ntime-features: 4\n'; } >classes.yaml
expect 0 info classes.safetensors --config classes.yaml --json
json 'o["classes"] == 3 and o["sample_shape"] == [2] and o["step"] == 0 and not o["ema"]'
json '"label.weight from embedding.weight" in o["foreign"] and o["library"] is None'
{ cat classes.yaml && echo 'label-drop: 0.1'; } >dropped.yaml
expect 0 info classes.safetensors --config dropped.yaml --json
json 'o["classes"] == 2' # the last row is no class's
expect 0 sample classes.safetensors --config classes.yaml --label 2 --decode noise.csv --steps 10 --out samples.csv
python 'check(Net(classes=3, features=4), label=2)'

# --- a checkpoint of our own that has lost its metadata: data, normalisation, classes and averages come back ---
python 'draw = random.Random(SEED + 2)
with open("data.csv", "w") as file:
    file.write("a,b,label\n")
    file.writelines(f"{draw.gauss(1000, 30):.6g},{draw.gauss(0, 1):.6g},{draw.choice(kinds)}\n"
                    for kinds in [["cat", "dog", "dog"]] * 50)'
expect 0 train data.csv --labels --out lost --steps 4 --batch 8 --width 6 --depth 2 --samples-every off
python 'save("lost.safetensors", load("lost/checkpoint-0000000004.safetensors"))'
for end in samples.csv weights.csv; do
    ema=$([ $end = samples.csv ] && echo yes || echo no)
    expect 0 sample lost --n 9 --ema $ema --out kept-$end
    expect 0 sample lost.safetensors --config lost/config.yaml --n 9 --ema $ema --out lost-$end
    cmp kept-$end lost-$end || fail "without metadata other samples come"
done
cmp -s kept-samples.csv kept-weights.csv && fail "averages and weights are the same"
grep -q dog lost-samples.csv || fail "the classes have lost their names"
expect 0 likelihood lost data.csv --json
mv out kept.json
expect 0 likelihood lost.safetensors data.csv --config lost/config.yaml --json
json 'o["nll"] == json.load(open("kept.json"))["nll"] and o["n"] == 50'
expect 0 eval lost.safetensors data.csv --config lost/config.yaml --metrics w2,nfe --n 20 --json
expect 0 explain lost.safetensors --config lost/config.yaml
printed 'dog'
says 'names taken as they are'

# --- what does not fit ---
refused 1 '--config FILE' sample own.safetensors --n 2 --out no.csv
says 'own.safetensors is a safetensors file, but not written by flowcl' 'path and prediction'
python 'net = sequence(Net())
save("lacks.safetensors", {name: row for name, row in net.items() if name != "net.2.bias"})
save("more.safetensors", {**net, "net.3.weight": ("F32", [12], bytes(48))})
save("shape.safetensors", {**Net().tensors(*dotted(lambda i: f"layers.{i}")), "layers.1.bias": ("F32", [11], bytes(44))})
save("doubt.safetensors", Net(depth=3).tensors(*dotted(lambda i: ["first", "left", "right", "last"][i])))
save("control.safetensors", {**net, "a\x1b[2Jb": ("F32", [1], bytes(4))})
save("none.safetensors", {})'
refused 1 'missing layers.1.bias (12,);' info lacks.safetensors --config config.yaml
refused 1 'left over net.3.weight (12,)' info more.safetensors --config config.yaml
refused 1 'missing layers.1.bias (12,) where it has (11,)' info shape.safetensors --config config.yaml
sed 's/depth: 2/depth: 3/' config.yaml >three.yaml
refused 1 'which of left.bias and right.bias' info doubt.safetensors --config three.yaml
refused 1 'a\x1b[2Jb (1,)' info control.safetensors --config config.yaml
refused 1 'layers.2.weight (' info none.safetensors --config config.yaml
refused 1 'missing layers.1.weight (12, 12), layers.1.bias (12,), layers.2.weight (12, 12), layers.2.bias (12,), layers.3' \
    info words.safetensors --config deep.yaml
says 'depth 7' 'left over middle.bias (12,), middle.weight (12, 12);'
sed 's/width: 12/width: 13/' config.yaml >wide.yaml
refused 1 'width 13 for samples of (2,): missing layers.0.weight (13, 3)' info order.safetensors --config wide.yaml
{ cat config.yaml && echo 'labels: yes'; } >labels.yaml
refused 1 'label.weight' info order.safetensors --config labels.yaml
{ cat config.yaml && echo 'normalise: all'; } >all.yaml
refused 1 'normalise all is by the training' info order.safetensors --config all.yaml
{ cat config.yaml && echo 'data: nowhere.csv'; } >nowhere.yaml
refused 1 'nowhere.csv' info order.safetensors --config nowhere.yaml
printf '1,2,3\n4,6,5\n' >three.csv
{ cat config.yaml && echo 'data: three.csv'; } >solid.yaml
refused 1 'width 12 for samples of (3,): missing layers.0.weight (12, 4)' info order.safetensors --config solid.yaml
echo 'widht: 12' >wrong.yaml
refused 1 'wrong.yaml:1:1' info order.safetensors --config wrong.yaml
refused 1 'none.yaml' info order.safetensors --config none.yaml
names() { # names LINES WORDS: the list is refused by these
    printf "$1" >list.yaml
    refused 1 "$2" info order.safetensors --config config.yaml --names list.yaml
}
names 'layers.7.weight: net.0.weight\n' "list.yaml:1:1: \"layers.7.weight\" is none of the model's tensors"
names 'layers.0.weight: net.1.weight\n' 'list.yaml:1:18: order.safetensors has no tensor "net.1.weight"'
names 'layers.0.weight: net.2.weight\nlayers.1.weight: net.2.weight\n' \
    'list.yaml:2:18: order.safetensors has only one tensor "net.2.weight"'
names 'layers.0.weight: net.0.weight\n' 'missing layers.0.bias (12,), layers.1.weight (12, 12)'
names 'layers.0.weight: net.2.weight\n' 'missing layers.0.weight (12, 3) where it has (12, 12)'
printf 'PK\003\004 what torch.save writes' >zip.safetensors
refused 1 'safetensors.torch.save_file' info zip.safetensors --config config.yaml

# --- training goes on from them, and from a checkpoint of our own, whose model it takes ---
short='--steps 1 --batch 8 --samples-every off'
expect 0 train moons --out run --init order.safetensors --config config.yaml --lr 1e-12 $short
says 'names matched by order: layers.0.weight from net.0.weight'
expect 0 sample run --decode noise.csv --steps 10 --out samples.csv
python 'check(Net())'
expect 0 train moons --out listed --init both.safetensors --names ema.net.yaml --config config.yaml --lr 1e-12 $short
expect 0 sample listed --decode noise.csv --steps 10 --out samples.csv
python 'check(Net(seed=SEED + 9))'
expect 0 train moons --out more --init run --lr 1e-12 $short
expect 0 sample more --decode noise.csv --steps 10 --out samples.csv
python 'check(Net())'
expect 0 train --resume --out more --init run --steps 2
refused 1 'its width is 12, not 13' train moons --out no --init run --width 13 $short
refused 1 'does not fit the model, mlp of depth 4 and width 128' train moons --out no --init order.safetensors $short
refused 1 'names has no use without init' train moons --out no --names net.yaml $short
refused 1 'it is a checkpoint of flowcl' train moons --out no --init run --names net.yaml $short

# --- options that have no use are refused ---
refused 1 '--config has no use with run' sample run --config config.yaml --n 2 --out no.csv
refused 1 '--config has no use with run' eval run moons --config config.yaml
refused 1 '--names has no use with run' info run --names net.yaml
refused 1 '--config has no use with run' likelihood run moons --config config.yaml
refused 1 '--config has no use with run' explain run --config config.yaml
refused 2 '--config has no use without a model' eval noise.csv moons --config config.yaml
