#!/bin/sh
# torchcfm's MLP: saved with safetensors it samples here what it samples in PyTorch, and a model trained here does so there; as
# does PyTorch's going on from it. Skipped where no Python has PyTorch and safetensors; $FCL_TEST_PYTHON names one. The network
# is torchcfm's own class where that is installed, else the same layers.
. "$(dirname "$0")/lib.sh"
find_python "numpy, torch, safetensors.torch"
draw_seed
[ -n "$python" ] || { echo "skipped: no Python here has PyTorch and safetensors (FCL_TEST_PYTHON names one)"; exit 77; }

cat >mlp.py <<'END'
"""torchcfm's MLP, to and from files, and Euler's steps along its velocity in double."""
import os
import sys

import numpy as np
import safetensors.torch
import torch

DIM, WIDTH, STEPS, BOUND = 3, 48, 10, 1e-5
SEED = int(os.environ["FCL_TEST_SEED"])
draw = np.random.default_rng(SEED)
torch.manual_seed(SEED)


def mlp():
    try:
        from torchcfm.models.models import MLP

        return MLP(dim=DIM, w=WIDTH, time_varying=True)
    except ImportError:
        sizes = [DIM + 1, WIDTH, WIDTH, WIDTH]
        hidden = [layer for a, b in zip(sizes, sizes[1:]) for layer in (torch.nn.Linear(a, b), torch.nn.SELU())]
        network = torch.nn.Module()
        network.net = torch.nn.Sequential(*hidden, torch.nn.Linear(WIDTH, DIM))
        network.forward = lambda x: network.net(x)
        return network


def solve(network, x):
    network, x = network.double(), torch.from_numpy(x).double()
    with torch.no_grad():
        for k in range(STEPS):
            x = x + network.forward(torch.cat([x, torch.full((len(x), 1), k / STEPS, dtype=x.dtype)], 1)) / STEPS
    return x.numpy()


def check(network, samples):
    expected, found = solve(network, np.load("noise.npy")), np.load(samples)
    apart = np.abs(found - expected).max() / max(1, np.abs(expected).max())
    assert found.shape == expected.shape and apart <= BOUND, f"{samples}: {apart:.1e} apart"
    assert np.abs(found - np.load("noise.npy")).max() > 0.01, "nothing has moved"


def ours(path, prefix=""):
    """The network with the weights of a checkpoint: layers.0, layers.1, ... are net.0, net.2, ..."""
    network, tensors = mlp(), safetensors.torch.load_file(path)
    network.load_state_dict({f"net.{2 * i}.{kind}": tensors[f"{prefix}layers.{i}.{kind}"]
                             for i in range(4) for kind in ("weight", "bias")}, strict=True)
    return network


if sys.argv[1] == "save":
    np.save("noise.npy", draw.standard_normal((50, DIM)).astype(np.float32))
    np.save("data.npy", draw.standard_normal((500, DIM)).astype(np.float32))
    safetensors.torch.save_file(mlp().state_dict(), "mlp.safetensors")
elif sys.argv[1] == "theirs":
    network = mlp()
    network.load_state_dict(safetensors.torch.load_file("mlp.safetensors"), strict=True)
    check(network, sys.argv[2])
else:
    check(ours(*sys.argv[3:]), sys.argv[2])
END
python() { $python mlp.py "$@" >out 2>err || fail "mlp.py $*"; }
solved() { expect 0 sample "$@" --decode noise.npy --solver euler --steps 10 --out samples.npy; }
$python mlp.py save || fail "mlp.py"
printf 'width: 48\ndepth: 3\nactivation: selu\n' >mlp.yaml

# --- PyTorch's file here, and a training that begins with it, where the rate moves nothing ---
solved mlp.safetensors --config mlp.yaml
says "names matched by order: layers.0.weight from net.0.weight"
python theirs samples.npy
expect 0 train data.npy --normalise off --init mlp.safetensors --config mlp.yaml --lr 1e-12 --steps 1 --batch 8 --samples-every off --out on
solved on
python theirs samples.npy

# --- a training's weights and their average there ---
expect 0 train data.npy --normalise off --width 48 --depth 3 --activation selu --lr 0.01 --steps 40 --batch 64 --ema 0.9 \
    --samples-every off --out run
file=run/checkpoint-0000000040.safetensors
solved run --ema no
python ours samples.npy $file
solved run
python ours samples.npy $file ema.
$python mlp.py ours samples.npy $file 2>err >out && fail "weights and average are the same"
grep -q "apart" err || fail "another failure"
