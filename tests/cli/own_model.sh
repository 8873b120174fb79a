#!/bin/sh
# The example own_model: its network learns to multiply, as its file says to who reads it without flowcl; a second run goes
# on; it says why it cannot.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

"$1" "$folder/net.safetensors" >"$folder/first"
cp "$folder/net.safetensors" "$folder/before.safetensors"
"$1" "$folder/net.safetensors" >"$folder/second"

# By the weights in the file the network is far better than the best linear function: that is 0, as x0 x1 has no
# correlation with either, and leaves the variance of x0 x1, which is 1/3 * 1/3.
python3 - "$folder" <<'END'
import json, math, re, struct, sys

def network(path):
    content = open(path, "rb").read()
    size = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8:8 + size])
    def tensor(name, *shape):
        assert header[name]["shape"] == list(shape) and header[name]["dtype"] == "F32", (name, header[name])
        begin, end = header[name]["data_offsets"]
        return struct.unpack(f"<{math.prod(shape)}f", content[8 + size + begin:8 + size + end])
    return header, [tensor("in.weight", 32, 2), tensor("in.bias", 32), tensor("gain", 32), tensor("out.weight", 1, 32),
                    tensor("out.bias", 1)]

def mean_square(net):
    weight, bias, gain, out, out_bias = net
    total, points = 0, [(2 * i + 1) / 40 - 1 for i in range(40)]
    for a in points:
        for b in points:
            y = out_bias[0] + sum(out[k] * gain[k] * math.tanh(weight[2 * k] * a + weight[2 * k + 1] * b + bias[k])
                                  for k in range(32))
            total += (y - a * b) ** 2
    return total / len(points) ** 2

def told(name):
    return re.fullmatch(r"step (\d+), loss ([0-9.]+): .*\n", open(f"{sys.argv[1]}/{name}").read()).groups()

linear = 1 / 9
for name, file, steps in (("first", "before", "1000"), ("second", "net", "2000")):
    header, net = network(f"{sys.argv[1]}/{file}.safetensors")
    found = mean_square(net)
    step, loss = told(name)
    assert step == steps, step
    assert found < linear / 100, found
    assert float(loss) < linear / 20, loss
    assert {"ema.gain", "adam.m.gain", "adam.v.gain"} <= header.keys()
END

printf 'no file of learners' >"$folder/other"
for file in "$folder/other" "$folder/missing/net.safetensors"; do
    if "$1" "$file" 2>"$folder/err" >"$folder/out"; then
        echo "$file went unnoticed"
        exit 1
    fi
    grep -q "$file" "$folder/err"
    [ ! -s "$folder/out" ]
done
