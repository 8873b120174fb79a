#!/usr/bin/env python3
"""Repeats a published protocol and prints its table: noise to eight Gaussians and to two moons, independent and
optimal-transport couplings, five seeds (Tong et al., "Improving and generalizing flow-based generative models
with minibatch optimal transport", TMLR 2024, the two-dimensional table).

    tools/protocol.py                   # trains into runs/protocol, prints the table; some minutes
    tools/protocol.py --out DIR         # a call that was stopped goes on where it was

Model: [t, x] -> 64 -> 64 -> 64 -> 2, SELU. AdamW, learning rate 1e-3, weight decay 1e-5, batch 512, sigma 0.1,
20 000 steps on 10 000 points; the last weights, Euler with 100 steps. Path energy and distances are taken of as
many fresh points as --points says, other ones for each seed."""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TRAIN = """--data-count 10000 --width 64 --depth 3 --activation selu --lr 0.001 --weight-decay 1e-5
--schedule constant --clip off --ema off --batch 512 --sigma 0.1 --samples-every off --checkpoint-every off""".split()
METRICS = "w2,path-energy,ot-cost,npe"
# What the paper tells of the normalized path energy, and what the authors' program torchcfm gave.
OTHERS = {
    ("8gaussians", "independent"): ("0.222", "0.210 ± 0.006"),
    ("8gaussians", "ot"): ("0.018", "0.013"),
    ("moons", "independent"): ("", "0.93 ± 0.08"),
    ("moons", "ot"): ("", "0.12"),
}


def call(program, *arguments, **how):
    """Runs flowcl; a failure, which it has explained itself, ends the protocol."""
    done = subprocess.run([program, *map(str, arguments)], text=True, **how)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def train(o, data, coupling, seed):
    folder = o.out / f"{data}-{coupling}-{seed}"
    if (folder / f"checkpoint-{o.steps:010d}.safetensors").exists():
        return folder
    print(f"{folder}", file=sys.stderr)
    call(o.flowcl, "train", data, "--out", folder, "--resume", "--coupling", coupling, "--seed", seed,
         "--steps", o.steps, *TRAIN)
    return folder


def evaluate(o, folder, data, seed):
    """The metrics of a run: W2 squared, its floor squared, and the others by their names. Kept in its folder."""
    kept = folder / f"eval-{o.steps}-{o.points}.json"
    if not kept.exists():
        text = call(o.flowcl, "eval", folder, data, "--json", "--metrics", METRICS, "--n", o.points, "--points",
                    o.points, "--seed", 1000 + seed, "--data-seed", 1000 + seed, "--steps", 100,
                    stdout=subprocess.PIPE)
        kept.write_text(text, encoding="utf-8")
    metrics = json.loads(kept.read_text(encoding="utf-8"))["metrics"]
    found = {name: metric["value"] for name, metric in metrics.items()}
    return found | {"w2": found["w2"] ** 2, "floor": metrics["w2"]["floor"] ** 2}


def spread(values, digits):
    mean = f"{statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def row(o, data, coupling):
    runs = [evaluate(o, train(o, data, coupling, seed), data, seed) for seed in range(o.seeds)]
    paper, torchcfm = OTHERS[data, coupling]
    column = lambda name, digits: spread([run[name] for run in runs], digits)
    return (f"| N → {data} | {coupling} | {column('path-energy', 2)} | {column('ot-cost', 2)} | {column('npe', 3)} "
            f"| {torchcfm} | {paper} | {column('w2', 3)} | {column('floor', 3)} |")


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/protocol"), help="folder of the runs")
parser.add_argument("--flowcl", default=ROOT / "build/tools/flowcl", help="the program")
parser.add_argument("--seeds", type=int, default=5, help="runs of each kind")
parser.add_argument("--steps", type=int, default=20000, help="of training")
parser.add_argument("--points", type=int, default=10000, help="of each evaluation")
options = parser.parse_args()
if not pathlib.Path(options.flowcl).exists():
    sys.exit(f"{options.flowcl} does not exist: build it with tools/build.sh, or name it with --flowcl")
head = ["task", "coupling", "path energy", "OT cost", "NPE", "NPE, torchcfm", "NPE, paper",
        f"W2² at {options.points} points", "its floor"]
rows = [row(options, data, coupling) for data in ("8gaussians", "moons") for coupling in ("independent", "ot")]
print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), *rows, sep="\n")
