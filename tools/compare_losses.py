#!/usr/bin/env python3
"""Compares the losses of runs, step by step, by their metrics.jsonl.

    python3 tools/compare_losses.py runs/here runs/there [more runs] [--bound 1e-3]

Prints for each run after the first how far its losses are from the first's, at most, and at which step; the last line is the
largest difference of any two. Steps that one run lacks are left out. The status is 1 where that is above the bound, or where
two runs have no step in common. The runs have to be of the same options: flowcl's random numbers are the same on every
device, so that what differs is what a device computes.
"""
import argparse
import itertools
import json
import math
import pathlib
import sys


def losses(run):
    """Step -> loss, of a run's folder. A last line that is cut off, as of a run that goes on, is left out."""
    found = {}
    for line in (pathlib.Path(run) / "metrics.jsonl").read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            row = json.loads(line)
            found[row["step"]] = math.nan if row["loss"] is None else row["loss"]
    return found


def farthest(a, b):
    """The largest difference, its step, and how many steps both have; what is not a number is infinitely far."""
    common = sorted(a.keys() & b.keys())
    apart = {step: abs(a[step] - b[step]) for step in common}
    apart = {step: math.inf if math.isnan(d) else d for step, d in apart.items()}
    step = max(common, key=apart.get, default=None)
    return (math.inf if step is None else apart[step]), step, len(common)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="+", help="folders of runs, the first of which the others are held against")
    parser.add_argument("--bound", type=float, default=1e-3)
    options = parser.parse_args()
    if len(options.run) < 2:
        parser.error("two runs at least")
    curves = [losses(run) for run in options.run]
    for run, curve in zip(options.run[1:], curves[1:]):
        difference, step, count = farthest(curves[0], curve)
        print(f"{run}: {difference:.1e} at step {step}, {count} steps in common")
    worst = max(farthest(a, b)[0] for a, b in itertools.combinations(curves, 2))
    print(f"largest difference of two: {worst:.1e}, bound {options.bound:g}")
    return 0 if worst <= options.bound else 1


if __name__ == "__main__":
    sys.exit(main())
