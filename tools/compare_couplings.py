#!/usr/bin/env python3
"""Times the exact coupling against POT's emd and scipy, and OT-CFM training against torchcfm, and prints ratios.

Needs numpy, scipy, POT and, for training, PyTorch and torchcfm, in an environment of your own; neither flowcl nor its
tests need any of them.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy scipy POT torch torchcfm
    /tmp/venv/bin/python tools/compare_couplings.py --library build/src/libflowcl.so --flowcl build/tools/flowcl

Assignment: from two sets of points in the plane to the pairs, cost matrix included: processor time, the median of
--repeats rounds of each in turn. Plain: a normal cloud against a narrower, moved one; clustered: against eight narrow
blobs on a circle; duplicated: points and data of few distinct places. Training: an MLP 2-64 x 3 (SELU), batch 512, AdamW, exact OT in
each batch, PyTorch with one thread, which is faster for so small a model; and an MLP 784-1024 x 3 with and without OT.
The clock's seconds of a step in a run's best stretch, the median of --repeats runs in turn. Ratios are the median of
the rounds' own: the machine's speed may change between the rounds.
"""
import argparse
import ctypes
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings
from statistics import median

import numpy as np


def points(kind, n, rng):
    x0 = rng.normal(size=(n, 2))
    if kind == "plain":
        x1 = 0.5 * rng.normal(size=(n, 2)) + [0, 1]
    elif kind == "clustered":
        angle = rng.integers(0, 8, n) * np.pi / 4
        x1 = 5 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.1 * rng.normal(size=(n, 2))
    else:
        x1 = rng.normal(size=(n // 8, 2))[rng.integers(0, n // 8, n)]
        x0[1::2] = x0[::2]
    return np.ascontiguousarray(x0, np.float32), np.ascontiguousarray(x1, np.float32)


def timed(work):
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def in_turn(rounds, works):
    """The seconds of each work in each round, and its last result."""
    seconds = [[] for _ in works]
    for _ in range(rounds):
        results = []
        for work, its in zip(works, seconds):
            took, result = timed(work)
            its.append(took)
            results.append(result)
    return seconds, results


def ratio(of, to):
    return median(a / b for a, b in zip(of, to))


def cost_of(x0, x1, partner):
    return float(((x0 - x1[partner]).astype(np.float64) ** 2).sum() / len(x0))


def compare_assignment(library, sizes, repeats):
    import ot
    from scipy.optimize import linear_sum_assignment

    couple = ctypes.CDLL(library).fcl_couple
    floats, integers = np.ctypeslib.ndpointer(np.float32), np.ctypeslib.ndpointer(np.int32)
    couple.argtypes = [ctypes.c_int64, ctypes.c_int64, floats, floats, ctypes.c_void_p, integers]
    print(f"{'points':<12}{'n':>6}{'flowcl':>10}{'POT emd':>10}{'scipy':>10}{'POT/flowcl':>12}  mean cost")
    for kind in ("plain", "clustered", "duplicated"):
        for n in sizes:
            x0, x1 = points(kind, n, np.random.default_rng(7))

            def ours():
                partner = np.empty(n, np.int32)
                if couple(n, 2, x0, x1, None, partner) != 0:
                    sys.exit("fcl_couple failed")
                return partner

            def pot():
                weight = np.full(n, 1 / n)
                return ot.emd(weight, weight, ot.dist(x0.astype(np.float64), x1.astype(np.float64)))

            def scipy():
                return linear_sum_assignment(ot.dist(x0.astype(np.float64), x1.astype(np.float64)))[1]

            small = n <= 1024
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                (a, b, *c), (partner, plan, *reference) = in_turn(repeats if small else 1,
                                                                  [ours, pot, scipy] if small else [ours, pot])
            costs = cost_of(x0, x1, partner), cost_of(x0, x1, plan.argmax(axis=1))
            note = "" if not caught else "  (POT: " + str(caught[0].message).splitlines()[0][:40] + ")"
            if reference and abs(costs[0] - cost_of(x0, x1, reference[0])) > 1e-5 * costs[0]:
                note += "  NOT THE BEST"
            third = f"{1e3 * median(c[0]):>8.1f}ms" if c else f"{'':>10}"
            print(f"{kind:<12}{n:>6}{1e3 * median(a):>8.1f}ms{1e3 * median(b):>8.1f}ms{third}{ratio(b, a):>12.1f}  "
                  f"{costs[0]:.6f} {costs[1]:.6f}{note}", flush=True)


def torch_step(steps):
    import torch
    from torchcfm.conditional_flow_matching import ExactOptimalTransportConditionalFlowMatcher

    torch.set_num_threads(1)
    sizes = [3, 64, 64, 64, 2]
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [torch.nn.Linear(a, b), torch.nn.SELU()]
    model = torch.nn.Sequential(*layers[:-1])
    matcher = ExactOptimalTransportConditionalFlowMatcher(sigma=0.1)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-5, fused=True)
    angle = torch.randint(0, 8, (100_000,)) * (torch.pi / 4)
    data = 5 * torch.stack([angle.cos(), angle.sin()], dim=1) + torch.randn(100_000, 2)

    def step():
        x1 = data[torch.randint(0, len(data), (512,))]
        t, xt, ut = matcher.sample_location_and_conditional_flow(torch.randn(512, 2), x1)
        loss = ((model(torch.cat([xt, t[:, None]], dim=1)) - ut) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    stretches = []
    for _ in range(6):
        begin = time.perf_counter()
        for _ in range(steps // 6):
            step()
        stretches.append((time.perf_counter() - begin) / (steps // 6))
    return min(stretches)


def flowcl_step(flowcl, steps, coupling, data="8gaussians", options=("--sigma", "0.1", "--activation", "selu"),
                batch=512):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([flowcl, "train", data, "--out", folder + "/run", "--batch", str(batch), "--steps", str(steps),
                        "--metrics-every", str(steps // 8), "--samples-every", "off", "--coupling", coupling,
                        *options], check=True, capture_output=True)
        rows = [json.loads(line) for line in pathlib.Path(folder, "run/metrics.jsonl").read_text().splitlines()]
    return batch / max(row["samples_per_second"] for row in rows[1:])


def compare_training(flowcl, repeats):
    ours, theirs, plain, wide_ot, wide = [], [], [], [], []
    layers = ("--width", "1024", "--depth", "3")
    for _ in range(repeats):
        theirs.append(torch_step(60))
        ours.append(flowcl_step(flowcl, 160, "ot"))
        plain.append(flowcl_step(flowcl, 800, "independent"))
    print(f"MLP 2-64 x 3, batch 512: OT-CFM {1e3 * median(ours):.2f} ms a step, torchcfm "
          f"{1e3 * median(theirs):.2f} ms, ratio {ratio(theirs, ours):.1f}; without OT {1e3 * median(plain):.2f} ms", flush=True)
    for _ in range(repeats):
        wide_ot.append(flowcl_step(flowcl, 24, "ot", "fashion-mnist", layers))
        wide.append(flowcl_step(flowcl, 24, "independent", "fashion-mnist", layers))
    print(f"MLP 784-1024 x 3, batch 512: {1e3 * median(wide_ot):.1f} ms a step with OT, {1e3 * median(wide):.1f} ms "
          f"without, ratio {ratio(wide_ot, wide):.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default="build/src/libflowcl.so")
    parser.add_argument("--flowcl", default="build/tools/flowcl")
    parser.add_argument("--sizes", default="512,1024,4096")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--part", choices=["assignment", "training", "all"], default="all")
    arguments = parser.parse_args()
    if arguments.part != "training":
        compare_assignment(os.path.abspath(arguments.library), [int(n) for n in arguments.sizes.split(",")],
                           arguments.repeats)
    if arguments.part != "assignment":
        compare_training(os.path.abspath(arguments.flowcl), arguments.repeats)


if __name__ == "__main__":
    main()
