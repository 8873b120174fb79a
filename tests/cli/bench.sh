#!/bin/sh
# The benchmark: its records, its comparisons, and that a device that cannot be used is told. No speed is asked for.
. "$(dirname "$0")/lib.sh"
case $2 in /*) slow_clock=$2 ;; *) slow_clock=$OLDPWD/$2 ;; esac

# records EXPRESSION: the lines in `lines` are records `r` for which the Python expression holds.
records() {
    python3 -c 'import json, sys
from statistics import median
r = [json.loads(line) for line in open("lines")]
m = {(x["group"], x["what"]): x for x in r if x["record"] == "measure"}
assert eval(sys.argv[1]), sys.argv[1]' "$1" || fail "not so: $1"
}

refused 2 "must end in .png" bench --chart chart.jpg
refused 2 "--repeats" bench --repeats 2
refused 2 "did you mean \"mlp-2-64\"?" bench --model mlp-2-63
refused 1 "cannot open the baseline none.json" bench --baseline none.json
echo '{"record": "measure"' >bad.json
refused 1 "bad.json:1: not a line of flowcl bench --json" bench --baseline bad.json
echo '{}' >bad.json
refused 1 "bad.json:1: not a record" bench --baseline bad.json

expect 1 bench --quick --device "no such thing"
says "no such thing"
[ ! -s out ] || fail "printed something without a device"

chart=
! has_charts || chart="--chart chart.png"
# shellcheck disable=SC2086 # a list of words
expect 0 bench --quick --json $chart
mv out lines
says "bench: triad"
records 'all(isinstance(x, dict) and x["device"] == r[0]["device"] for x in r)'
records 'r[0]["record"] == "device" and r[0]["selftest"]["passed"] and r[0]["selftest"]["error"] < 1e-4'
records 'all(r[0][k] for k in ("name", "platform", "version", "driver", "memory_bytes", "compute_units", "clblast"))'
records '{("start-up", "cold compile"), ("start-up", "cold first step"), ("start-up", "warm compile"),
    ("start-up", "warm first step"), ("machine", "launch"), ("machine", "launch, waited for"),
    ("machine", "copy"), ("machine", "triad"), ("machine", "fp32 peak"), ("products", "forward 256x64x64"),
    ("products", "dX 256x64x64"), ("products", "dW 64x64x256"), ("training", "training"),
    ("sampling", "sampling")} <= set(m)'
records 'all(0 < x["p10"] <= x["median"] <= x["p90"] and x["repeats"] >= 1 for x in m.values())'
records 'all(len(x["values"]) == x["repeats"] and abs(median(x["values"]) / x["median"] - 1) < 1e-6 for x in m.values())'
records 'all(x["repeats"] >= 5 for x in m.values() if x["group"] != "start-up")'
records 'all(x["noisy"] == (x["p90"] - x["p10"] > 0.05 * x["median"]) for x in m.values())'
records 'all(x["right"] and x["error"] < 1e-5 for x in m.values() if x["group"] in ("machine", "products"))'
records 'all(x["share_of_peak"] > 0 and x["how"] for x in m.values() if x["group"] == "products")'
records 'all(x["of_first"] == 1 and x["selftest_error"] < 1e-4 for x in m.values())'
records 'all((x["model"] is None) == (x["group"] == "machine") for x in m.values())'
records '"mean" in m["sampling", "sampling"]'
cat >check.py <<'EOP'
import json
from statistics import median
r = [json.loads(line) for line in open("lines")]
step, = [x for x in r if x["record"] == "step"]
assert step["parameters"] > 8000 and step["launches"] > 0 and step["kernels"] and step["memory_bytes"] > 0
assert 1 <= step["distinct_kernels"] <= step["launches"] and step["build_seconds"] > 0
assert step["loss"] > 0 and step["loss_difference"] == 0 and step["batch"] == 256
assert step["launches"] == sum(kernel["launches"] for kernel in step["kernels"]) and step["clblast_calls"] == 0
# three products of each inner layer, two of the first: at least those of the 64 x 64 layers
assert step["operations"] > 2 * 256 * 64 * 64 * 6
floors = step["floors"]
assert set(floors) == {"compute", "bandwidth", "launches", "host"}
assert (floors["bandwidth"] is None) == (step["memory_bytes"] <= step["cache_bytes"])
floors = {name: x for name, x in floors.items() if x is not None}
assert all(x > 0 for x in floors.values())
# what a floor explains is the median of the rounds' own shares, and what the step needs is its own
rounds = step["rounds"]
assert set(rounds) == {"seconds"} | set(floors) and all(len(x) == 5 for x in rounds.values())
assert abs(median(rounds["seconds"]) / step["seconds"] - 1) < 1e-6
shares = {name: median(x / y for x, y in zip(rounds[name], rounds["seconds"])) for name in floors}
for name in floors:
    assert abs(median(rounds[name]) / floors[name] - 1) < 1e-6, name
    assert abs(step["shares"][name] / shares[name] - 1) < 1e-6, name
assert step["limit"] == max(shares, key=shares.get)
assert abs(step["limit_share"] / max(shares.values()) - 1) < 1e-6
assert step["memory_bytes"] < 32 << 20, "the buffers of the bandwidth beside it are counted"
for x in r:
    if x.get("group") == "products":
        assert len(x["peaks"]) == 5
        share = median(value / peak for value, peak in zip(x["values"], x["peaks"]))
        assert abs(x["share_of_peak"] / share - 1) < 1e-6, x
        assert x["share_of_peak_p10"] <= x["share_of_peak"] <= x["share_of_peak_p90"], x
EOP
python3 check.py || fail "the step's record is not right"
! has_charts || [ "$(head -c 4 chart.png | tail -c 3)" = PNG ] || fail "chart.png is no picture"

# Convolutions are rows beside the models.
mv lines models
expect 0 bench --quick --json --model conv-28-32
mv out lines
records '{what.split()[0] for group, what in m if group == "convolutions"} == {"forward", "dX", "dW"}'
records 'all(x["right"] and x["error"] < 1e-5 and x["share_of_peak"] > 0 and x["model"] == "conv-28-32" and
    x["unit"] == "GFLOP/s" for x in m.values() if x["group"] == "convolutions")'
records '{x["group"] for x in m.values()} == {"start-up", "machine", "convolutions"}'
# Attention, too.
expect 0 bench --quick --json --model attention-49
mv out lines
records '{what.split(" 128x49")[0] for group, what in m if group == "attention"} == {"forward", "both ways"}'
records 'all(x["right"] and x["error"] < 1e-5 and x["share_of_peak"] > 0 and x["model"] == "attention-49" and
    x["unit"] == "GFLOP/s" for x in m.values() if x["group"] == "attention")'
records '{x["group"] for x in m.values()} == {"start-up", "machine", "attention"}'
mv models lines

# A baseline twice as fast at everything: the ratios are those of the medians.
python3 - <<'EOP'
import json
with open("base.json", "w") as base:
    for line in open("lines"):
        x = json.loads(line)
        if x["record"] == "measure":
            x["median"] *= 2 if x["better"] == "more" else 0.5
        base.write(json.dumps(x) + "\n")
EOP
expect 0 bench --quick --json --baseline base.json
cp out lines
cat >check.py <<'EOP'
import json
base = {(x["group"], x["what"]): x for x in map(json.loads, open("base.json")) if x["record"] == "measure"}
for x in map(json.loads, open("lines")):
    if x["record"] == "measure":
        a, b = x["median"], base[x["group"], x["what"]]["median"]
        ratio = a / b if x["better"] == "more" else b / a
        assert abs(x["of_baseline"] / ratio - 1) < 1e-6, x
EOP
python3 check.py || fail "a ratio against the baseline is not right"

# Two devices on a machine that is a hundred times as slow once the peak is measured: what is divided is of one speed.
cat >slower.py <<'EOP'
import os, pathlib, subprocess, sys
environment = os.environ | {"LD_PRELOAD": sys.argv[2], "SLOW": "slow", "POCL_DEVICES": "pthread basic",
                            "OCL_ICD_VENDORS": "/etc/OpenCL/vendors/pocl.icd"}
bench = subprocess.Popen([sys.argv[1], "bench", "--quick", "--json", "--device", "0:0,0:1"], env=environment,
                         stdout=open("lines", "w"), stderr=subprocess.PIPE, text=True)
for line in bench.stderr:
    if "256x64x3 of" in line:
        pathlib.Path("slow").touch()
assert pathlib.Path("slow").exists() and bench.wait() == 0
EOP
python3 slower.py "$flowcl" "$slow_clock" || fail "the bench did not end"
cat >check.py <<'EOP'
import json
from statistics import median
r = [json.loads(line) for line in open("lines")]
first, second = devices = [{(x["group"], x["what"]): x for x in r if x.get("device") == name and x["record"] != "device"}
                           for name in ("0:0", "0:1")]
assert set(first) == set(second) and len(first) > 12
for device in devices:
    peak, launch = (device["machine", what]["median"] for what in ("fp32 peak", "launch"))
    products = [x for x in device.values() if x["group"] == "products" and x["what"] != "forward 256x64x3"]
    assert len(products) > 5
    for x in products:
        share = median(value / peak for value, peak in zip(x["values"], x["peaks"]))
        assert abs(x["share_of_peak"] / share - 1) < 1e-6, x
        assert median(x["peaks"]) < peak / 4, (x, peak)
    step = device["training", "step"]
    assert median(step["rounds"]["compute"]) > 4 * step["operations"] / (1e9 * peak), step
    assert median(step["rounds"]["launches"]) > 4 * step["launches"] * 1e-6 * launch, step
for key, x in first.items():
    if x["record"] == "step":
        continue
    own, other = (second[key]["values"], x["values"]) if x["better"] == "more" else (x["values"], second[key]["values"])
    assert len(own) == len(other), key
    assert abs(second[key]["of_first"] / median(a / b for a, b in zip(own, other)) - 1) < 1e-6, key
EOP
python3 check.py || fail "what is divided was not measured in turn"

# For people: no line is wider than 80 columns, and one device that fails does not end the others' run. In the form of
# GPUs a step is a few launches, and four layers have eleven products.
export FLOWCL_ROW_GROUP=64 FLOWCL_GEMM=clblast
expect 0 bench --quick --device "$FLOWCL_DEVICE,no such thing,cpu"
unset FLOWCL_ROW_GROUP FLOWCL_GEMM
printed "named twice" "self-test passed" "fp32 peak" "not measured:" "limited by" "samples/s" "distinct kernels generated:"
narrow
launches=$(tr -s ' \n' ' ' <out | sed -n 's/.* \([0-9]*\) launches (11 of them calls of CLBlast).*/\1/p')
[ "${launches:-99}" -le 28 ] || fail "a step has ${launches:-unknown} launches"

# A driver that takes its process along: told, and nothing hangs.
cat >crash.py <<'EOP'
import pathlib, os, signal, subprocess, sys
bench = subprocess.Popen([sys.argv[1], "bench", "--quick"], stdout=open("out", "w"), stderr=subprocess.PIPE, text=True)
log = []
for line in bench.stderr:
    log.append(line)
    if line == "bench: copy\n":
        for status in pathlib.Path("/proc").glob("[0-9]*/status"):
            try:
                text = status.read_text()
            except OSError:
                continue
            if f"\nPPid:\t{bench.pid}\n" in text:
                os.kill(int(status.parent.name), signal.SIGKILL)
open("err", "w").writelines(log)
assert bench.wait() == 1
EOP
python3 crash.py "$flowcl" || fail "the end of a device's process was not answered with a failure"
printed "its process crashed: Killed (signal 9)"
says "no device's process has lasted to the end"
