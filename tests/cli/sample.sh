#!/bin/sh
# Samples in every format, by fixed and adaptive solvers, forth and back; what info tells of a checkpoint.
. "$(dirname "$0")/lib.sh"

expect 0 train moons --out run --steps 100 --width 16 --depth 2 --batch 64 --samples-every off

expect 0 sample run --n 50 --out a.csv
printed "50 samples" "function evaluations a sample" "written to a.csv"
[ "$(wc -l <a.csv)" -eq 50 ] || fail "a.csv has not 50 lines"
expect 0 sample run/checkpoint-0000000100.safetensors --n 50 --out b.csv
cmp a.csv b.csv || fail "a folder does not stand for its newest checkpoint"
expect 0 sample run --n 50 --out b.csv --seed 1
cmp -s a.csv b.csv && fail "another seed gave the same samples"
expect 0 sample run --n 50 --out b.csv --ema no
cmp -s a.csv b.csv && fail "the averaged weights gave the same samples as the last ones"

for ending in npy npz png; do
    expect 0 sample run --n 50 --out c.$ending
    [ -s c.$ending ] || fail "c.$ending is empty"
done
head -c 6 c.npy | tail -c 5 | grep -q NUMPY || fail "c.npy is no array"

# Function evaluations: of a solver with fixed steps they are known.
while read -r solver evaluations; do
    expect 0 sample run --n 50 --steps 5 --solver "$solver" --out d.npy --json
    json "o['solver'] == '$solver' and o['nfe'] == $evaluations"
done <<'END'
euler 5
midpoint 10
rk4 20
ab2 6
END

# Where steps end, and the samples there. (The kernels are those of before.)
array() { # array FILE SHAPE: an .npy file has this shape
    head -c 128 "$1" | grep -aqF "'shape': $2" || fail "$1 has not the shape $2"
}
expect 0 sample run --n 50 --steps 5 --out end.npy
expect 0 sample run --n 50 --steps 5 --times steps --out way.npy --json
json 'o["n"] == 50 and o["shape"] == [6, 50, 2] and o["nfe"] == 5'
array way.npy "(6, 50, 2)"
tail -c 400 way.npy >way.end
tail -c 400 end.npy | cmp - way.end || fail "a trajectory does not end where the samples are"
expect 0 sample run --n 50 --steps 5 --times 0.5,0.2 --out way.npy --json
json 'o["shape"] == [2, 50, 2] and o["nfe"] == 6' # 0.5 is not on the grid
expect 0 sample run --n 50 --encode end.npy --grid edm:5 --times 3 --out way.npy --json
json 'o["shape"] == [3, 50, 2] and o["nfe"] == 101'
printf '0\n1\n0.25\n' >grid.txt
expect 0 sample run --n 50 --grid grid.txt --out way.npy --json
json 'o["nfe"] == 2'
refused 2 'did you mean "shifted"' sample run --out a.npy --grid shiftet
refused 2 "rho is a number from 1" sample run --out a.npy --grid edm:0
refused 2 "name both ends" sample run --out a.npy --grid 0,0.5
refused 2 "give no steps" sample run --out a.npy --grid 0,0.5,1 --steps 2
refused 2 "takes no grid" sample run --out a.npy --grid edm --solver dopri5
refused 2 "own steps" sample run --out a.npy --times steps --solver dopri5
refused 2 "not between 0 and 1" sample run --out a.npy --times 0,2
refused 2 "must be .npy or .npz" sample run --out a.png --times 3
seq 1 40 >numbers.csv
expect 0 train numbers.csv --steps 2 --width 8 --depth 1 --batch 8 --samples-every off --out numbers
FLOWCL_DEVICE=none refused 1 "cannot draw a.png: samples of shape (1,)" sample numbers --out a.png
refused 2 "no error estimate" sample run --out a.npy --rtol 1e-3
refused 2 "1e-7" sample run --out a.npy --solver dopri5 --rtol 1e-12
refused 2 'did you mean "heun2"' sample run --out a.npy --solver heun
# (One size and one tolerance: each has kernels of its own, which take their time to compile.)
adaptive="--solver dopri5 --rtol 1e-6 --atol 1e-6"
expect 0 sample run --n 50 $adaptive --out d.npy --json
json 'o["seconds"] > 0 and o["build_seconds"] > 0'
json 'o["n"] == 50 and o["shape"] == [50, 2] and o["accepted"] > 0 and o["nfe_minimum"] <= o["nfe_maximum"]'
json 'o["step"] == 100 and o["out"] == "d.npy" and o["checkpoint"].endswith("checkpoint-0000000100.safetensors")'

# What is done is written, and what is not is told.
rm d.npy
expect 1 sample run --n 50 $adaptive --max-steps 2 --out d.npy --json
says "50 of 50 samples are unfinished" "in 2 steps"
json 'o["unfinished"] == 50 and o["accepted"] + o["rejected"] == 100'
array d.npy "(50, 2)"

# From another source.
expect 0 sample run --n 5 --steps 1 --source rings --out r.csv --json
json 'o["source"] == "rings"'

# Stochastic solvers.
expect 0 sample run --n 50 --solver euler-maruyama --sde-w "0.5*sigma^2" --steps 5 --out d.npy --json
json 'o["nfe"] == 5'
refused 2 "is -" sample run --out a.npy --solver euler-maruyama --sde-w "sigma - 2" --path linear
refused 1 "is -" sample run --out a.npy --solver euler-maruyama --sde-w "sigma - 2"
refused 2 "no solver that adds noise" sample run --out a.npy --logp --solver euler-maruyama
refused 2 "no --times" sample run --out a.npy --logp --times 3
refused 2 "adds no noise" sample run --out a.npy --sde-w 1
refused 2 "w: " sample run --out a.npy --solver euler-maruyama --sde-w "2 +"
expect 0 train moons --out paired --steps 1 --width 16 --depth 2 --batch 64 --coupling ot
refused 1 "trained with coupling ot" sample paired --out a.npy --solver stochastic-heun

# To noise and back.
expect 0 sample run --encode a.csv --out noise.npy $adaptive
expect 0 sample run --decode noise.npy --out back.csv $adaptive
python3 - <<'END' || fail "encode and decode do not return the input"
read = lambda name: [[float(x) for x in line.split(",")] for line in open(name)]
a, b = read("a.csv"), read("back.csv")
assert len(a) == len(b) == 50
assert max(abs(x - y) for p, q in zip(a, b) for x, y in zip(p, q)) < 1e-4
END
expect 0 sample run --encode a.csv --n 10 --out noise.csv
[ "$(wc -l <noise.csv)" -eq 10 ] || fail "--n does not limit what is encoded"

expect 0 info run
printed "step        100" "parameters" "layers.0.weight"
expect 0 info run --json
json 'o["step"] == 100 and o["sample_shape"] == [2] and o["config"]["width"] == 16 and o["ema"]'
json 'any(t["name"] == "layers.0.weight" and t["shape"][0] == 16 for t in o["tensors"])'
