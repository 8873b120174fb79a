#!/bin/sh
# Paths, predictions, times, weights and losses of a training, from the command line to the samples.
. "$(dirname "$0")/lib.sh"

small="--width 64 --depth 2 --batch 128 --samples-every off"

# What is no path, or does not go together, is refused before anything is written.
refused 2 "\"alpha=t^2, sigma=1-t^\", column 22: expected a number, a name or (, but the text ends" \
    train moons --out run --path "alpha=t^2, sigma=1-t^"
refused 2 "alpha(1) is 2, not 1" train moons --out run --path "alpha=2*t, sigma=1-t"
refused 2 "the path bridge needs its parameter s" train moons --out run --path bridge
refused 2 "the path vp is one only from normal noise" train moons --out run --path vp --source 8gaussians
refused 2 "needs a path without a tube" train moons --out run --sigma 0.1 --prediction eps
refused 2 "needs the coupling independent, not ot" train moons --out run --coupling ot --prediction score
refused 2 "it must lie between 0 and 1" train moons --out run --time "2*u"
refused 2 "did you mean \"cosine\"?" train moons --out run --path cosin
refused 2 "did you mean \"x1\"?" train moons --out run --prediction x2
refused 2 "did you mean \"min-snr\"?" train moons --out run --weight minsnr
expect 0 train --help
printed "cosine: a quarter of a circle" "logit-normal: sigmoid of N(m, s^2)" "stratified: one time in each" "huber: squared up to"
[ ! -e run ] || fail "a refused training left a folder behind"

# Formulas live in the configuration and the checkpoint, and are compared in a resumed run.
own="--path alpha=t^2,sigma=1-t^2 --prediction eps --time mode(0.5) --time-draw stratified --time-shift 1.5"
# shellcheck disable=SC2086
expect 0 train moons --out own --steps 20 $small $own --weight "1/(0.1 + l)" --loss "huber(1)"
expect 0 train --config own/config.yaml --out again
cmp own/checkpoint-0000000020.safetensors again/checkpoint-0000000020.safetensors || fail "config.yaml gave another run"
refused 1 "it was trained with loss huber(1), not huber(2)" train --resume --out own --steps 30 --loss "huber(2)"
expect 0 explain own
printed "target = x0" "w = 1/(0.1 + l)"

# near RUN BOUND [OPTIONS]: the samples of a trained model are that near to the data. (N(0, I) is 1.1 away.)
near() {
    run=$1
    bound=$2
    shift 2
    expect 0 sample "$run" --n 1000 --solver midpoint --steps 40 --out "$run.npy" "$@"
    expect 0 eval "$run.npy" moons --metrics w2 --floor no --json
    json "o['metrics']['w2']['value'] < $bound" || fail "$run is not near the data"
}
expect 0 train moons --out data --steps 1200 $small --lr 0.004 --path cosine --prediction x1 --weight inverse-variance
near data 0.75
near data 0.75 --path linear
expect 0 train moons --out noise --steps 1200 $small --lr 0.004 --path cosine --prediction eps --time-draw antithetic
near noise 0.75 --path "alpha=sin(pi*t/2)^2, sigma=1-sin(pi*t/2)^2"
refused 1 "has a tube, 0.1 wide" sample data --out a.npy --path "linear(0.1)"

# A plan that single precision cannot make is told, with numbers.
expect 0 train moons --out tiny --coupling sinkhorn --reg 1e-30 --steps 2 --metrics-every 2 --batch 32 --samples-every off
says "2 of 2 plans of the coupling had not converged"
grep -q '"not_converged":2' tiny/metrics.jsonl || fail "a plan without entropy is called converged"
if grep -q 'null' tiny/metrics.jsonl; then fail "the metrics of a plan without entropy are no numbers"; fi
