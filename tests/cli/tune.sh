#!/bin/sh
# A short tuning leaves a table; a following run uses it, unless it is told not to or the table is damaged.
. "$(dirname "$0")/lib.sh"
case $2 in /*) hanging=$2 ;; *) hanging=$OLDPWD/$2 ;; esac
export XDG_CACHE_HOME="$PWD/cache"

small="--width 144 --depth 1 --batch 32 --sample-batch 40"
expect 0 tune $small --seconds 0.01
printed "144x3x32 TN" "tile" "products measured" "$PWD/cache/flowcl/products-"
sed -i '/products-.*json$/d' out # the table's path is as long as it is
narrow
[ ! -s err ] || fail "it spoke where nothing was wrong"
file=$(ls cache/flowcl/products-*.json) || fail "there is no table"
python3 -c 'import json, sys
table = json.load(open(sys.argv[1]))
assert table["format"] == 2 and len(table["products"]) > 0' "$file" || fail "the table is not JSON"

expect 0 tune $small --seconds 0.3 --json
json 'o["products"] and all(p["gflops"] > 0 and p["best"] and p["candidates"] > 0 for p in o["products"])'
cat >check.py <<'EOP'
import json
from statistics import median
for p in json.load(open("out"))["products"]:
    rounds = list(zip(p["rule_seconds"], p["seconds"]))
    assert len(rounds) == len(p["seconds"]) == len(p["rule_seconds"]) >= 3, p
    assert abs(p["gain"] / median(rule / best for rule, best in rounds) - 1) < 1e-9, p
    assert p["gain"] == 1 if p["best"] == p["rule"] else p["gain"] > 1.03, p
    operations = 2 * p["m"] * p["n"] * p["k"] * p["batch"]
    assert abs(p["gflops"] * 1e9 * median(p["seconds"]) / operations - 1) < 1e-9, p
EOP
python3 check.py || fail "a gain is not the median of the rounds' ratios"
json 'o["table"].endswith(".json") and o["device"]'

# Every built-in model's products of training and sampling are in one table: where the wide ones have 512 or 1024
# columns these follow from the layers.
rm -rf cache
expect 0 tune --all --seconds 0.01 --sample-batch 40
printed "products measured"
python3 - cache/flowcl/products-*.json <<'END' || fail "--all left out a product"
import json, sys
rows = json.load(open(sys.argv[1]))["products"]
found = {(r["m"], r["n"], r["k"], r["transpose_a"], r["transpose_b"]) for r in rows}
assert len(found) == len(rows)
for width, size, batch in (512, 2, 4096), (1024, 784, 256):
    for inputs, outputs in (size + 1, width), (width, width), (width, size):
        assert (batch, outputs, inputs, False, True) in found, (batch, outputs, inputs)
        assert (40, outputs, inputs, False, True) in found, (40, outputs, inputs)
        assert (outputs, inputs, batch, True, False) in found, (outputs, inputs, batch)
        assert inputs == size + 1 or (batch, inputs, outputs, False, False) in found, (batch, inputs, outputs)
END

python3 - cache/flowcl/products-*.json <<'END' || fail "--all left out the transformer's perceptron"
import json, sys
rows = json.load(open(sys.argv[1]))["products"]
assert any((r["m"], r["n"], r["k"]) == (128 * 49, 768, 192) for r in rows)
END

# A narrow model's products are parts of row blocks.
expect 0 tune --width 24 --depth 1 --batch 32 --seconds 0.01
printed "nothing to tune: every product of this model is part of a row block"

run="train moons --steps 2 --width 144 --depth 1 --batch 32 --checkpoint-every off --samples-every off"
expect 0 $run --out quiet
grep -q "tuned products" err && fail "a good table was complained of"
expect 0 $run --out again
cmp quiet/checkpoint-*2.safetensors again/checkpoint-*2.safetensors || fail "the same table gave other bits"
printf '{' >"$file"
expect 0 $run --out loud
says "the table of tuned products is not used" "flowcl tune"
FLOWCL_TUNE=off expect 0 $run --out off
grep -q "tuned products" err && fail "a table that is switched off was complained of"

# A candidate whose process crashes is told, and the tuning goes on.
rm -rf cache
FLOWCL_GEMM=clblast "$flowcl" tune $small --seconds 0.01 >out 2>err </dev/null &
tuning=$!
while kill -0 $tuning 2>/dev/null; do
    pkill -SEGV -P $tuning -f tune-candidate || sleep 0.01
done
wait $tuning || fail "a candidate's crash ended the tuning"
printed "its process crashed: " "(signal 11)" "CLBlast's parameters" "products measured"

# In the form of GPUs a table may say that our own product for these multiplies, and a run does as it says.
rm -rf cache
FLOWCL_ROW_GROUP=64 FLOWCL_GEMM=gpu expect 0 tune $small --seconds 0.01 --json
json 'o["products"] and all(p["best"].startswith("gpu ") and p["gflops"] > 0 for p in o["products"])'
grep -q '"provider": "gpu", "set": ' cache/flowcl/products-*.json || fail "the table has no product for GPUs"
FLOWCL_ROW_GROUP=64 FLOWCL_DUMP="$PWD/dump" expect 0 $run --out by-gpu
grep -q "tuned products" err && fail "a table of products for GPUs was complained of"
grep -q gemm_gpu.cl dump/*.cl || fail "the run did not multiply as the table says"

refused 2 "above 0" tune --limit 0
refused 2 "above 0" tune --seconds 0
refused 2 "--width has no use with --all" tune --all --width 8
refused 2 "--size has no use with --all" tune --all --size 3
refused 2 "size '28x' is neither a number, as 2, nor channels, height and width" tune --size 28x
refused 1 "no such thing" tune --device "no such thing"

# One whose compiler hangs is ended at its limit, with the process that the driver has started for it; the rest
# goes on.
rm -rf cache
LD_PRELOAD=$hanging "$flowcl" --version >out 2>err && [ ! -s err ] || exit 0 # a sanitizer's program takes none
FLOWCL_GEMM=clblast HANGING="$PWD/compilers" LD_PRELOAD="$hanging" expect 0 tune $small --seconds 0.01 --limit 1.5
printed "its process did not end within 1.5 seconds" "CLBlast's parameters" "products measured"
[ -s compilers ] || fail "no compiler has hung"
while read -r compiler; do
    state=$(sed 's/.*) //; s/ .*//' "/proc/$compiler/stat" 2>/dev/null) && [ "$state" != Z ] &&
        fail "the compiler $compiler goes on"
done <compilers
exit 0
