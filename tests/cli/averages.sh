#!/bin/sh
# Several averages in one run: kept, resumed bit for bit, listed, sampled, and evaluated by one command.
. "$(dirname "$0")/lib.sh"

short="--width 16 --depth 2 --batch 64 --samples-every off --checkpoint-every off --schedule constant"

# The tensors of the newest checkpoint that a name begins with, of two runs: a's and b's are the same.
same() { # same RUN PREFIX RUN PREFIX
    python3 - "$@" <<'END' || fail "$1 $2 is not $3 $4"
import glob, json, sys
def tensors(run, prefix):
    blob = open(sorted(glob.glob(run + "/*.safetensors"))[-1], "rb").read()
    length = int.from_bytes(blob[:8], "little")
    header = json.loads(blob[8:8 + length])
    return {name[len(prefix):]: blob[8 + length:][slice(*t["data_offsets"])] for name, t in header.items()
            if name.startswith(prefix + "layers.")}
one, two = tensors(*sys.argv[1:3]), tensors(*sys.argv[3:5])
sys.exit(not one or one != two)
END
}

# The first is what it is alone, whatever else is kept; the decay of another stands in its name.
expect 0 train moons --out one --steps 30 --ema 0.5 $short
expect 0 train moons --out three --steps 30 --ema 0.5,0.20,0.7 $short
same one "" three ""
same one ema. three ema.
same one adam.v. three adam.v.
expect 0 train moons --out long --steps 30 --ema 0.7 $short
same long ema. three ema.0.7.
expect 0 info three
printed "averages    EMA of decay 0.5, 0.2, 0.7"
expect 0 info three --json
json 'o["ema"] and o["averages"] == ["0.5", "0.2", "0.7"] and o["config"]["ema"] == "0.5,0.20,0.7"'
expect 0 info one --json
json 'o["averages"] == ["0.5"]'

# Stopping changes nothing, nor does another order, which is another first.
expect 0 train moons --out half --steps 13 --ema 0.5,0.2,0.7 $short
expect 0 train moons --out half --steps 30 --ema 0.7,0.5,0.2 --resume $short
for name in "" adam.m.; do same half "$name" three "$name"; done
same half ema. three ema.0.7.
same half ema.0.5. three ema.
same half ema.0.2. three ema.0.2.
# One that is left out is gone; a new one begins with the weights, which is told.
expect 0 train moons --out half --steps 31 --ema 0.5,0.3 --resume $short
grep -q "an average of decay 0.3 begins with the weights: the checkpoint has 0.7,0.5,0.2" err ||
    fail "nobody is told that an average begins"
expect 0 info half --json
json 'o["averages"] == ["0.5", "0.3"]'
expect 0 train moons --out begun --steps 1 --lr 1e-20 --init three --ema 0.3,0.2 $short
python3 - <<'END' || fail "--init does not take the average that fits"
import array, json, sys
def numbers(path, name):
    blob = open(path, "rb").read()
    length = int.from_bytes(blob[:8], "little")
    return array.array("f", blob[8 + length:][slice(*json.loads(blob[8:8 + length])[name]["data_offsets"])])
before, after = "three/checkpoint-0000000030.safetensors", "begun/checkpoint-0000000001.safetensors"
for name in "layers.0.weight", "layers.1.bias":
    w, old, new = numbers(before, name), numbers(before, "ema.0.2." + name), numbers(after, "ema.0.2." + name)
    assert w != old and all(abs(0.1 * o + 0.9 * x - n) < 1e-6 for x, o, n in zip(w, old, new)) # the first step's decay is 0.1
    assert all(abs(x - n) < 1e-6 for x, n in zip(w, numbers(after, "ema." + name))) # it has no 0.3
END

# Which is sampled.
expect 0 sample three --n 20 --steps 4 --out first.npy
printed "average 0.5"
expect 0 sample one --n 20 --steps 4 --out other.npy
cmp first.npy other.npy || fail "the first average is not what is sampled"
expect 0 sample three --n 20 --steps 4 --ema 0.70 --out last.npy
printed "average 0.7"
expect 0 sample long --n 20 --steps 4 --out other.npy
cmp last.npy other.npy || fail "--ema 0.7 does not take that average"
expect 0 sample three --n 20 --steps 4 --ema no --out weights.npy --json
json 'o["average"] is False and o["ema"] is None'
expect 0 sample long --n 20 --steps 4 --ema no --out other.npy
cmp weights.npy other.npy || fail "--ema no does not take the weights"
expect 0 likelihood three moons --n 20 --ema 0.2 --json
json 'o["average"] and o["ema"] == "0.2"'
narrow

# All of them at once: what each is alone.
expect 0 eval three moons --n 200 --steps 4 --metrics w2,nfe --ema all
printed "average 0.5)" "average 0.2)" "average 0.7)" "not averaged)" "w2            0.5 " "              weights "
narrow
expect 0 eval three moons --n 200 --steps 4 --metrics w2 --ema all --json
json '[s["ema"] for s in o["subjects"]] == ["0.5", "0.2", "0.7", None] and len(set(o["metrics"]["w2"]["values"])) == 4'
json 'list(o["metrics"]["w2"]["of"]) == ["0.5", "0.2", "0.7", "weights"] and o["metrics"]["w2"]["deviation"] is None'
json '[m["value"] for m in o["metrics"]["w2"]["of"].values()] == o["metrics"]["w2"]["values"]'
cp out all.json
for which in yes 0.2 0.7 no; do
    expect 0 eval three moons --n 200 --steps 4 --metrics w2 --ema $which --json
    json "o['metrics']['w2']['value'] in json.load(open('all.json'))['metrics']['w2']['values']"
done
# Of several runs a row is the mean over those that have the average.
expect 0 eval three long one moons --n 200 --steps 4 --metrics w2 --ema all --json
json '[s["ema"] for s in o["subjects"]] == ["0.5", "0.2", "0.7", None, "0.7", None, "0.5", None]'
json 'o["metrics"]["w2"]["of"]["0.7"]["deviation"] < 1e-6 and o["metrics"]["w2"]["of"]["0.2"]["deviation"] is None'

# What cannot be.
refused 2 'ema: "0.5,0.50" has a decay twice' train moons --ema 0.5,0.50 --out no
refused 2 'ema: "1.5" is not usable: expected a decay above 0 and up to 0.9999999' train moons --ema 1.5 --out no
refused 2 'has more than four' train moons --ema 0.1,0.2,0.3,0.4,0.6 --out no
refused 1 'no average of that decay, it has 0.5, 0.2, 0.7' sample three --n 4 --ema 0.999 --out no.npy
refused 1 'no average of that decay' eval three moons --n 4 --ema 0.999
refused 2 'expected yes, no, or the decay' sample three --n 4 --ema all --out no.npy
refused 2 'expected yes, no, or the decay' sample three --n 4 --ema 0.5,0.2 --out no.npy
refused 2 'expected yes, no, or the decay of an average as 0.9999; or all, each' eval three moons --n 4 --ema foo
refused 2 'no use without a model' eval first.npy moons --ema all
