#!/usr/bin/env python3
"""Holds each model for pictures against the PyTorch module that it shares its weights' names with.

Needs PyTorch, numpy, safetensors, torchcfm, and timm for sit.py, in an environment of your own; neither flowcl nor its tests
need any of them.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch numpy safetensors torchcfm timm
    /tmp/venv/bin/python tools/compare_models.py --library build/src/libflowcl.so

PyTorch draws random weights, none of them zeros, and writes the module's state dict with safetensors; flowcl's learner begins
with that file. Both compute the velocity of the same random pictures, times and labels, and the gradients of <u, velocity> in
the pictures and in every weight, flowcl on the device that FLOWCL_DEVICE or its own rule chooses. What is printed is the
largest difference over the largest number of PyTorch's: of the velocity, then of the gradient that is farthest off. Then
flowcl writes its file, and the module loads it with strict=True, once averages and moments, "ema." and "adam.", are left
aside; the numbers are those that it began with. The status is 1 where velocities are more than 1e-5 apart, gradients more than 1e-4, or a file does
not fit. Random draws are new in each run; --seed repeats one.
"""
import argparse
import copy
import ctypes as c
import math
import pathlib
import sys
import tempfile
import time

import numpy as np
import safetensors.torch
import torch

import compare_layers as layers
from compare_layers import I32, F32, pointer, shape_of, struct

BOUND, GRADIENT_BOUND = 1e-5, 1e-4
BATCH = 3

Inputs = struct("fcl_velocity_inputs", x=pointer, t=pointer, r=pointer, label=pointer, conditions=pointer,
                condition_count=c.c_int, training=c.c_bool)
FROM_COMMAND_LINE = 4
layers.SIGNATURES |= {
    "options_create": (pointer, []),
    "options_add": (c.c_int, [pointer, pointer, pointer]),
    "options_set": (c.c_int, [pointer, layers.text, layers.text, c.c_int]),
    "options_finish": (c.c_int, [pointer]),
    "options_destroy": (None, [pointer]),
    "model_create": (c.c_int, [pointer, layers.Shape, c.c_int, pointer]),
    "params_trained": (c.c_int, [pointer]),
    "model_params": (pointer, [pointer]),
    "model_velocity": (pointer, [pointer, pointer, pointer]),
    "model_destroy": (None, [pointer]),
    "learner_save": (c.c_int, [pointer, layers.text]),
}


# --- the models: PyTorch's module, of pictures and classes, and the options that make the same here ---

def torchcfm(sample, multipliers, attention, classes=None, blocks=1, **how):
    """By its UNetModel, whose sizes of attention are factors of downsampling, as its UNetModelWrapper computes them."""
    from torchcfm.models.unet.unet import UNetModel

    factors = tuple(sample[1] // size for size in attention)
    return UNetModel(sample[1], sample[0], 32, sample[0], blocks, factors, channel_mult=multipliers, num_classes=classes,
                     **how)


def torchcfm_mnist(classes=None):
    """As its notebooks have it: attention, by 28 // 16 = 1, at the full size."""
    from torchcfm.models.unet.unet import UNetModelWrapper

    return UNetModelWrapper(dim=(1, 28, 28), num_channels=32, num_res_blocks=1, class_cond=bool(classes), num_classes=classes)


def dit(sample, labels=0, **options):
    """SiT's module, and the same options here."""
    from sit import SiT

    texts = {key.replace("_", "-"): "yes" if value is True else str(value) for key, value in options.items()}
    return SiT(sample, labels=labels, **options), sample, labels, {"model": "dit"} | texts


def cases():
    """name: module, a picture's shape, classes, options."""
    grey, colour, small = (1, 28, 28), (3, 16, 16), (3, 16, 24)
    return {
        "unet": (torchcfm(grey, (1, 2, 2), (14,)), grey, 0, {"model": "unet"}),
        "unet, torchcfm's own for MNIST": (torchcfm_mnist(), grey, 0, {"model": "unet", "attention": "28"}),
        "unet, the same with classes": (torchcfm_mnist(10), grey, 10, {"model": "unet", "attention": "28"}),
        "unet, scale and shift, heads": (
            torchcfm(colour, (1, 2), (16, 8), num_heads=4, use_scale_shift_norm=True), colour, 0,
            {"model": "unet", "multipliers": "1,2", "attention": "16,8", "heads": "4", "scale-shift": "yes"}),
        "unet, pooling, not square": (
            torchcfm(small, (1, 2), (), 5, conv_resample=False), small, 5,
            {"model": "unet", "multipliers": "1,2", "attention": "none", "resample": "pool"}),
        "unet, blocks between sizes, channels of a head": (
            torchcfm(colour, (2, 1, 3), (4,), 7, blocks=2, resblock_updown=True, num_head_channels=16), colour, 7,
            {"model": "unet", "multipliers": "2,1,3", "attention": "4", "blocks": "2", "resample": "block",
             "head-channels": "16"}),
        "dit": dit(grey),
        "dit, with classes, not square": dit(small, 11, width=48, depth=2, heads=4),
        "dit, SiT's own time": dit((4, 8, 8), 3, patch=2, width=64, depth=2, heads=2, time_scale=1),
        "dit, normalised queries and keys": dit((1, 8, 8), 2, patch=2, width=48, depth=2, heads=2, qk_norm=True),
        "dit, RMS norms, SwiGLU, DiT's steps": dit((3, 6, 9), patch=3, width=40, depth=2, heads=5, norm="rms", mlp="swiglu",
                                                   qk_norm=True, time_scale=-999),
    }


# --- both sides ---

def draw_weights(module):
    with torch.no_grad():
        for p in filter(lambda p: p.requires_grad, module.parameters()):
            if p.dim() > 1:
                p.copy_(torch.randn_like(p) / math.sqrt(p[0].numel()))
            else:
                p.copy_(0.1 * torch.randn_like(p) + (1 if p.mean() == 1 else 0))  # a norm's weight begins with ones


def run_torch(module, inputs, u):
    """The velocity, and the gradients by name."""
    x, t, label = inputs
    x = x.clone().requires_grad_()
    v = module.eval()(t, x, *([label] if label is not None else []))
    v.backward(u)
    gradients = {"x": x.grad} | {name: p.grad for name, p in module.named_parameters() if p.requires_grad}
    return v.detach().numpy(), {name: g.numpy() for name, g in gradients.items()}


class Ours:
    """flowcl's model of these options, with the module's weights."""

    def __init__(self, f, module, sample, classes, options):
        self.f, self.sample, self.classes = f, sample, classes
        self.model, self.learner = pointer(), pointer()
        values, table = c.create_string_buffer(4096), c.c_char.in_dll(f.library, "fcl_model_table")
        bound = f.options_create()
        f.check(f.options_add(bound, c.addressof(table), c.addressof(values)))
        for key, text in options.items():
            f.check(f.options_set(bound, key.encode(), text.encode(), FROM_COMMAND_LINE))
        f.check(f.options_finish(bound))
        f.check(f.model_create(c.addressof(values), shape_of(sample), classes, c.byref(self.model)))
        f.options_destroy(c.byref(pointer(bound)))
        self.params = f.model_params(self.model)
        f.check(f.learner_create(f.device, self.params, None, c.byref(self.learner)))
        with tempfile.TemporaryDirectory() as folder:
            path = str(pathlib.Path(folder) / "net.safetensors")
            safetensors.torch.save_file({name: p.contiguous() for name, p in module.state_dict().items()}, path)
            f.check(f.learner_begin_with(self.learner, path.encode()))

    def run(self, inputs, u):
        f, graph, size = self.f, self.f.graph_create(), math.prod(self.sample)
        leaves, count = f.learner_bind(self.learner, graph), f.params_trained(self.params)
        x, seed = (f.input(graph, name, F32, shape_of((BATCH, size))) for name in (b"x", b"u"))
        t, label = f.input(graph, b"t", F32, shape_of((BATCH, 1))), None
        if self.classes:
            label = f.input(graph, b"label", I32, shape_of((BATCH,)))
        v = f.output(f.model_velocity(self.model, leaves, c.byref(Inputs(x=x, t=t, label=label, training=False))))
        moving, gradients = (pointer * (count + 1))(x, *[leaves[i] for i in range(count)]), (pointer * (count + 1))()
        f.vjp(v, seed, count + 1, moving, gradients)
        for gradient in gradients:
            f.output(gradient)
        f.check(f.graph_compile(graph, f.device, None))
        given = [(x, inputs[0].flatten(1)), (t, inputs[1][:, None]), (seed, u.flatten(1)), (label, inputs[2])]
        for tensor, values in given[:4 if self.classes else 3]:
            layers.write(f, tensor, values)
        f.check(f.graph_run(graph))
        found = {"x": layers.read(f, gradients[0]).reshape(u.shape)}
        for i in range(count):
            slice_ = f.params_at(self.params, i).contents
            found[slice_.name.decode()] = layers.in_file_order(layers.read(f, gradients[i + 1]), slice_)
        value = layers.read(f, v).reshape(u.shape)
        f.graph_destroy(c.byref(pointer(graph)))
        return value, found

    def load_into(self, module):
        """What is wrong with our file as the module's; "" where nothing is."""
        loaded = copy.deepcopy(module)
        with torch.no_grad():
            for p in loaded.parameters():
                p.zero_()
        with tempfile.TemporaryDirectory() as folder:
            path = str(pathlib.Path(folder) / "ours.safetensors")
            self.f.check(self.f.learner_save(self.learner, path.encode()))
            ours = safetensors.torch.load_file(path)
        try:
            loaded.load_state_dict({n: p for n, p in ours.items() if not n.startswith(("ema.", "adam."))}, strict=True)
        except RuntimeError as fault:
            return str(fault)
        other = [n for n, p in module.state_dict().items() if not torch.equal(p, loaded.state_dict()[n])]
        return f"our file has other numbers for {other[0]}" if other else ""

    def close(self):
        self.f.learner_destroy(c.byref(self.learner))
        self.f.model_destroy(c.byref(self.model))


def error(found, expected, least=1e-30):
    return np.abs(found - expected).max() / max(np.abs(expected).max(), least)


def worst(found, expected):
    """Some gradients are rounding alone, as a bias' before a norm of its channel: none counts as less than 1 % of the largest."""
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    least = 0.01 * max(np.abs(g).max() for g in expected.values())
    return max(error(found[name], expected[name], least) for name in expected)


def compare(f, module, sample, classes, options):
    draw_weights(module)
    label = torch.randint(classes, (BATCH,), dtype=torch.int64) if classes else None
    inputs = [torch.randn(BATCH, *sample), torch.rand(BATCH), label]
    u = torch.randn(BATCH, *sample)
    v, g = run_torch(module, inputs, u)
    ours = Ours(f, module, sample, classes, options)
    our_v, our_g = ours.run(inputs, u)
    fault = ours.load_into(module)
    ours.close()
    return error(our_v, v), worst(our_g, g), fault


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", default="build/src/libflowcl.so")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="", help="models whose name contains this")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    f, wrong = layers.Flowcl(options.library), 0
    print(f"PyTorch {torch.__version__}, seed {options.seed}\n{'':48}{'velocity':>11}{'gradients':>11}")
    for name, case in cases().items():
        if options.only in name:
            value, gradient, fault = compare(f, *case)
            right = value <= BOUND and gradient <= GRADIENT_BOUND and not fault
            wrong += not right
            print(f"{name:48}{value:11.1e}{gradient:11.1e}" + ("" if right else f"   WRONG {fault}"), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
