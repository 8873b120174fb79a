#!/bin/sh
# What lies in the folder of a run: torn metrics, modes, links, a person's own files.
. "$(dirname "$0")/lib.sh"

small="--width 8 --depth 1 --batch 16 --metrics-every 10"

# --- metrics whose last line was torn, and one that only lacks its end ---
expect 0 train moons --out run --steps 40 $small
cp -r run torn
printf '{"step":50,"lo' >>torn/metrics.jsonl
expect 0 train --out torn --resume --steps 60
rows torn/metrics.jsonl 10 20 30 40 50 60
cp -r run torn-2
python3 -c 'import sys
path = "torn-2/metrics.jsonl"
text = open(path).read()
open(path, "w").write(text[:-1])'
expect 0 train --out torn-2 --resume --steps 60
rows torn-2/metrics.jsonl 10 20 30 40 50 60

# --- modes, links and the person's own configuration ---
mkdir archive
chmod 600 run/metrics.jsonl run/config.yaml
! has_charts || mv run/loss.png archive/chart.png
! has_charts || ln -s ../archive/chart.png run/loss.png
printf '{"step":50,' >>run/metrics.jsonl
expect 0 train --out run --resume --steps 60
[ "$(stat -c %a run/metrics.jsonl run/config.yaml | tr '\n' ' ')" = "600 600 " ] || fail "modes changed"
! has_charts || [ -L run/loss.png ] || fail "a link became a file"
mkdir own
printf '# my settings\nwidth: 8\ndepth: 1\nsteps: 4\ndata: moons\n' >own/config.yaml
cp own/config.yaml kept.yaml
expect 0 train --config own/config.yaml --out own
says "own/config.yaml is yours and stays as it is"
cmp kept.yaml own/config.yaml || fail "the --config was overwritten"
expect 0 train --out own --resume --steps 6
cmp kept.yaml own/config.yaml || fail "the --config was overwritten by --resume"
grep -q '^steps: 60 ' run/config.yaml || fail "the run's own config.yaml is not renewed"

# --- what the run did not write ---
for name in checkpoint-best checkpoint-1 checkpoint-00000000001 checkpoint-0000000001-old; do
    cp run/checkpoint-0000000060.safetensors run/$name.safetensors
done
expect 0 train --out run --resume --steps 63 --checkpoint-every 1 --keep 1
says "resumes run/checkpoint-0000000060.safetensors"
for name in checkpoint-best checkpoint-1 checkpoint-00000000001 checkpoint-0000000001-old checkpoint-0000000063; do
    [ -s run/$name.safetensors ] || fail "$name was removed"
done
[ ! -e run/checkpoint-0000000062.safetensors ] || fail "an old checkpoint was kept"
exit 0
