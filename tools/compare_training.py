#!/usr/bin/env python3
"""Trains the same network in flowcl and in PyTorch and compares what comes of it: the losses, and what the weights compute.

Needs PyTorch, numpy, safetensors, torchcfm, for --model dit timm, and for --chart matplotlib, in an environment of your own;
neither flowcl nor its tests need any of them. The data are Debian's package dataset-fashion-mnist.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch numpy safetensors torchcfm timm matplotlib
    /tmp/venv/bin/python tools/compare_training.py --model unet --chart curves.png
    /tmp/venv/bin/python tools/compare_training.py --model dit --same-batches

Both train Fashion-MNIST with its labels, torchcfm's U-Net or SiT's transformer of sit.py, from the same weights: those that
flowcl draws, which the checkpoint of a run of one step at a rate of 1e-30 has (where they are 0, to about 1e-29). Both have
AdamW, the schedule with its warm-up, the clip and the average that flowcl tells of its run; each draws batches, noise and times
of its own, so that the curves agree within their noise. With --same-batches PyTorch is handed flowcl's own draws, which its
library computes again: then the first losses agree to rounding, which grows by what a training makes of it, and later ones
within far less than the noise. With --control PyTorch trains once more by other draws, and a second table tells how far two of
its own trainings are apart.

The table has the mean loss of each window of steps, and the difference in units of its standard error. What the losses spread
by is told by the differences of neighbours, which a falling curve moves little: half their mean square is a loss's variance.
The status is 1 where less than 85 % of the windows are within 2 standard errors or less than 95 % within 3 (of independent
normal numbers 95.4 and 99.7 % are; two trainings also differ by where their draws have led them); where the mean over all
windows but the first, in which the loss falls fast, is off by more than 4 of its own; with --same-batches where one of the
first ten losses is off by more than 1e-4 of it; or where a velocity differs. Fewer than 10 windows, or windows of fewer than
50 steps, have no verdict on the curves.

At the end each computes the velocities of both trainings' weights, and of their averages, on the same pictures, noised as in
training: the largest difference over the largest number of PyTorch's, which is to be below 1e-5. Draws are new in each run;
--seed repeats one.
"""
import argparse
import ctypes as c
import gzip
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import safetensors.torch
import torch

import compare_layers as layers
import compare_models as models
from compare_layers import pointer, shape_of
from compare_pytorch import run_flowcl

BOUND = models.BOUND
SAMPLE, CLASSES = (1, 28, 28), 10
FOLDER = pathlib.Path("/usr/share/datasets/fashion-mnist")
STREAM_BATCH, STREAM_SOURCE, STREAM_TIME = 1, 2, 3  # of train.h and flow.h
SHARES = {2: 0.85, 3: 0.95}  # of the windows, within so many standard errors
LEAST_WINDOWS, LEAST_STEPS = 10, 50  # of a verdict
FIRST, FIRST_BOUND = 10, 1e-4

layers.SIGNATURES |= {
    "normal": (pointer, [pointer, layers.Shape, c.c_uint32]),
    "uniform": (pointer, [pointer, layers.Shape, c.c_uint32]),
    "batch_index": (pointer, [pointer, c.c_int64, c.c_int64, c.c_int64, c.c_uint32]),
    "graph_random": (None, [pointer, c.c_uint64, c.c_uint32, c.c_uint64]),
}

NETWORKS = {
    "unet": lambda: models.torchcfm(SAMPLE, (1, 2, 2), (14,), CLASSES),
    "dit": lambda: models.dit(SAMPLE, CLASSES)[0],
}


# --- data and draws ---

def read_idx(name):
    content = gzip.decompress((FOLDER / name).read_bytes())
    rank = content[3]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(np.frombuffer(content, ">u4", rank, 4))


def read_data():
    pictures = torch.from_numpy(read_idx("train-images-idx3-ubyte.gz").astype(np.float32))
    return (pictures * (2 / 255) - 1)[:, None], torch.from_numpy(read_idx("train-labels-idx1-ubyte.gz").astype(np.int64))


class OwnDraws:
    """Batches without replacement, a new order each epoch; noise and times."""

    def __init__(self, count, batch):
        self.count, self.batch, self.order = count, batch, torch.empty(0, dtype=torch.int64)

    def __call__(self, step):
        while len(self.order) < self.batch:
            self.order = torch.cat([self.order, torch.randperm(self.count)])
        index, self.order = self.order[:self.batch], self.order[self.batch:]
        return index, torch.randn(self.batch, *SAMPLE), torch.rand(self.batch)


class FlowclDraws:
    """What a step of flowcl draws, counted by seed, stream and step."""

    def __init__(self, f, seed, count, batch):
        self.f, self.seed, self.batch, self.graph = f, seed, batch, f.graph_create()
        self.index = f.output(f.batch_index(self.graph, count, batch, batch, STREAM_BATCH))
        self.noise = f.output(f.normal(self.graph, shape_of((batch, math.prod(SAMPLE))), STREAM_SOURCE))
        self.time = f.output(f.uniform(self.graph, shape_of((batch, 1)), STREAM_TIME))
        f.check(f.graph_compile(self.graph, f.device, None))

    def __call__(self, step):
        f = self.f
        f.graph_random(self.graph, self.seed, step, 0)
        f.check(f.graph_run(self.graph))
        index, noise, t = (torch.from_numpy(layers.read(f, x).copy()) for x in (self.index, self.noise, self.time))
        return index.view(torch.int32).long(), noise.reshape(self.batch, *SAMPLE), t.flatten()


# --- flowcl's side ---

def flowcl_train(arguments, folder, steps, *more):
    """The folder's checkpoint."""
    command = [arguments.flowcl, "train", "fashion-mnist", "--labels", "--model", arguments.model, "--out", folder,
               "--batch", arguments.batch, "--steps", steps, "--seed", arguments.seed, "--metrics-every", 1,
               "--samples-every", "off", "--checkpoint-every", "off", *more]
    run_flowcl(list(map(str, command)))
    (checkpoint,) = pathlib.Path(folder).glob("checkpoint-*.safetensors")
    return checkpoint


def read_rows(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def config_of(arguments, folder):
    told = json.loads(subprocess.check_output([arguments.flowcl, "info", folder, "--json"], text=True))["config"]
    held = {"path": "linear", "prediction": "v", "time": "uniform", "weight": "one", "loss": "squared", "weight-decay": 0,
            "label-drop": 0, "dropout": 0, "hflip": False}
    other = {key: told[key] for key, value in held.items() if told.get(key, value) != value}
    if other or "," in str(told["ema"]):
        sys.exit(f"PyTorch's side does not know the options of flowcl's run: {other or told['ema']}")
    return told


def load(module, checkpoint, part=""):
    """The weights, or with "ema." their average; what is frozen has no average."""
    tensors = safetensors.torch.load_file(checkpoint)
    plain = {name: p for name, p in tensors.items() if not name.startswith(("ema.", "adam."))}
    module.load_state_dict({name: tensors.get(part + name, p) for name, p in plain.items()}, strict=True)
    return module


# --- PyTorch's side ---

def rate(config, step):
    steps, schedule = config["steps"], config["schedule"]
    warmup = config["warmup"] or (steps // 10 if schedule == "warmup" else 0)
    if step < warmup:
        return config["lr"] * (step + 1) / warmup
    return config["lr"] * ((1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2 if schedule == "cosine" else 1)


def torch_train(module, config, data, draw, seconds=30):
    """The losses; the averages of the weights."""
    pictures, labels = data
    weights = [p for p in module.train().parameters() if p.requires_grad]
    average, decay = [p.detach().clone() for p in weights], float(config["ema"])
    optimiser = torch.optim.AdamW(weights, lr=config["lr"], betas=(config["beta1"], config["beta2"]), eps=config["epsilon"],
                                  weight_decay=0)
    losses, told = [], time.monotonic()
    for step in range(config["steps"]):
        index, x0, t = draw(step)
        x1, s = pictures[index], t[:, None, None, None]
        loss = (module(t, s * x1 + (1 - s) * x0, labels[index]) - (x1 - x0)).square().mean()
        optimiser.param_groups[0]["lr"] = rate(config, step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if config["clip"]:
            torch.nn.utils.clip_grad_norm_(weights, config["clip"])
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, weights, 1 - decay)
        losses.append(loss.item())
        if time.monotonic() - told > seconds:
            told = time.monotonic()
            print(f"  PyTorch: step {step + 1} of {config['steps']}, loss {losses[-1]:.4f}", file=sys.stderr, flush=True)
    return losses, average


# --- the comparison of the curves ---

def variance(losses):
    """Of a loss, by the differences of neighbours."""
    return np.square(np.diff(losses)).mean() / 2


def compare_windows(ours, theirs, size):
    """(first step, last, our mean, theirs, standard error of the difference) of each window."""
    rows = []
    for first in range(0, len(ours) - size + 1, size):
        a, b = ours[first:first + size], theirs[first:first + size]
        rows.append((first + 1, first + size, a.mean(), b.mean(), math.sqrt((variance(a) + variance(b)) / size)))
    return rows


def print_windows(rows, one="flowcl", other="PyTorch"):
    """What is wrong with them, in words."""
    print(f"\n{'steps':>13}{one:>12}{other:>12}{'difference':>13}{'standard errors':>18}")
    for first, last, a, b, e in rows:
        print(f"{first:>6} -{last:>5}{a:12.5f}{b:12.5f}{a - b:13.5f}{(a - b) / e:18.2f}")
    off, wrong = np.array([(a - b) / e for _, _, a, b, e in rows]), []
    for errors, least in SHARES.items():
        share = (np.abs(off) <= errors).mean()
        print(f"within {errors} standard errors: {100 * share:.0f} % of {len(off)} windows")
        if share < least:
            wrong.append(f"less than {100 * least:.0f} % of the windows are within {errors} standard errors")
    later = rows[1:] or rows
    whole = sum(a - b for _, _, a, b, _ in later) / len(later)
    error = math.sqrt(sum(e * e for *_, e in later)) / len(later)
    print(f"mean difference from step {later[0][0]} on: {whole:.5f}, {whole / error:.2f} standard errors")
    if abs(whole) > 4 * error:
        wrong.append("the mean difference is larger than 4 standard errors")
    if len(rows) >= LEAST_WINDOWS and rows[0][1] >= LEAST_STEPS:
        return wrong
    print("too few steps for a verdict")
    return []


def print_first(ours, theirs):
    """With the same batches: the losses of single steps."""
    off = np.abs(ours - theirs) / theirs
    print(f"\n{'step':>13}{'flowcl':>12}{'PyTorch':>12}{'relative difference':>21}")
    for step in (s for s in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if s <= len(ours)):
        print(f"{step:>13}{ours[step - 1]:12.6f}{theirs[step - 1]:12.6f}{off[step - 1]:21.1e}")
    most = off[:FIRST].max()
    return [f"one of the first {FIRST} losses is off by {most:.1e}"] if most > FIRST_BOUND else []


def draw_chart(path, ours, theirs, size, title):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    steps, kernel = np.arange(1, len(ours) + 1), np.ones(max(1, size // 4))
    count = np.convolve(np.ones(len(ours)), kernel, "same")
    figure, axes = pyplot.subplots(figsize=(8, 5))
    for name, losses, colour in (("flowcl", ours, "tab:blue"), ("PyTorch", theirs, "tab:orange")):
        axes.plot(steps, losses, color=colour, alpha=0.2, linewidth=0.6)
        mean = np.convolve(losses, kernel, "same") / count
        axes.plot(steps, mean, color=colour, label=f"{name}, mean of {len(kernel)} steps")
    axes.set(xlabel="step", ylabel="loss", yscale="log", title=title)
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")
    pyplot.close(figure)


# --- the comparison of what the weights compute ---

def compare_velocities(f, model, data, weights):
    """Prints the difference for each set of weights, a module each; whether one is above the bound, in words."""
    n, wrong = models.BATCH, []
    index, t = torch.randint(len(data[0]), (n,)), torch.rand(n)
    s = t[:, None, None, None]
    inputs = [s * data[0][index] + (1 - s) * torch.randn(n, *SAMPLE), t, data[1][index]]
    print(f"\nvelocities in flowcl and in PyTorch, of the weights that{'':6}difference")
    for name, module in weights.items():
        u = torch.randn(n, *SAMPLE)
        theirs, _ = models.run_torch(module, inputs, u)
        ours = models.Ours(f, module, SAMPLE, CLASSES, {"model": model})
        off = models.error(ours.run(inputs, u)[0], theirs)
        ours.close()
        print(f"  {name:56}{off:12.1e}", flush=True)
        wrong += [f"velocities of the weights that {name} differ by {off:.1e}"] if not off <= BOUND else []
    return wrong


def with_average(model, module, average):
    other = NETWORKS[model]()
    other.load_state_dict(module.state_dict())
    with torch.no_grad():
        for p, mean in zip((p for p in other.parameters() if p.requires_grad), average):
            p.copy_(mean)
    return other


def compare(arguments, folder):
    data, f = read_data(), layers.Flowcl(arguments.library)
    first = flowcl_train(arguments, folder / "first", 1, "--lr", "1e-30", "--schedule", "constant")
    print(f"flowcl trains {arguments.steps} steps", file=sys.stderr, flush=True)
    trained = flowcl_train(arguments, folder / "run", arguments.steps, "--init", first)
    rows, config = read_rows(folder / "run"), config_of(arguments, folder / "run")
    off = max(abs(row["lr"] / rate(config, step) - 1) for step, row in enumerate(rows))
    if off > 1e-6 or len(rows) != arguments.steps:
        sys.exit(f"flowcl's learning rates are not those of its schedule here: {off:.1e} off in {len(rows)} steps")
    print("; ".join(f"{key} {config[key]}" for key in ("lr", "schedule", "warmup", "beta1", "beta2", "clip", "ema", "batch")))
    module = load(NETWORKS[arguments.model](), first)
    draw = OwnDraws(len(data[0]), arguments.batch)
    if arguments.same_batches:
        draw = FlowclDraws(f, arguments.seed, len(data[0]), arguments.batch)
    theirs, average = torch_train(module, config, data, draw)
    ours, theirs, size = np.array([row["loss"] for row in rows]), np.array(theirs), min(arguments.window, arguments.steps)
    wrong = print_first(ours, theirs) if arguments.same_batches else []
    wrong += print_windows(compare_windows(ours, theirs, size))
    if arguments.control:
        again, _ = torch_train(load(NETWORKS[arguments.model](), first), config, data, OwnDraws(len(data[0]), arguments.batch))
        print_windows(compare_windows(np.array(again), theirs, size), "again", "PyTorch")
    if arguments.chart:
        draw_chart(arguments.chart, ours, theirs, arguments.window,
                   f"{arguments.model}, Fashion-MNIST, batch {arguments.batch}" + ", the same batches" * arguments.same_batches)
    return wrong + compare_velocities(f, arguments.model, data, {
        "flowcl trained": load(NETWORKS[arguments.model](), trained),
        "flowcl averaged": load(NETWORKS[arguments.model](), trained, "ema."),
        "PyTorch trained": module,
        "PyTorch averaged": with_average(arguments.model, module, average),
    })


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flowcl", default="build/tools/flowcl", help="the program (default %(default)s)")
    parser.add_argument("--library", default="build/src/libflowcl.so", help="the library (default %(default)s)")
    parser.add_argument("--model", choices=NETWORKS, default="unet", help="the network (default %(default)s)")
    parser.add_argument("--steps", type=int, default=2000, help="of each (default %(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="pictures of a step (default %(default)s)")
    parser.add_argument("--window", type=int, default=100, help="steps of a row of the table (default %(default)s)")
    parser.add_argument("--same-batches", action="store_true", help="PyTorch is handed flowcl's draws")
    parser.add_argument("--control", action="store_true", help="PyTorch trains once more, beside its first training")
    parser.add_argument("--chart", metavar="FILE", help="draw both curves, a PNG")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    print(f"PyTorch {torch.__version__}, seed {arguments.seed}; {arguments.model}, {arguments.steps} steps of {arguments.batch}")
    with tempfile.TemporaryDirectory() as folder:
        wrong = compare(arguments, pathlib.Path(folder))
    print("\nNOT THE SAME: " + "; ".join(wrong) if wrong else "\nnothing differs by more than it may")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
