#!/usr/bin/env python3
"""Holds each layer of layers.h against PyTorch's module of the same kind, by the same weights.

Needs PyTorch, numpy and safetensors, in an environment of your own; neither flowcl nor its tests need any of them.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install torch numpy safetensors
    /tmp/venv/bin/python tools/compare_layers.py --library build/src/libflowcl.so

PyTorch draws random weights for its module, none of them zeros, and writes them with safetensors; flowcl's learner begins
with that file, so that names, shapes and orders of dimensions are held as well. Then both compute the layer's value on the
same random inputs, and the gradients of <u, value> in every input and weight; flowcl does it on the device that
FLOWCL_DEVICE or its own rule chooses. What is printed for each is the largest difference, over the largest number of
PyTorch's: of flowcl and PyTorch in single precision, then of each and PyTorch in double. The status is 1 where flowcl's
are more than 1e-5 apart. Random draws are new in each run; --seed repeats one.
"""
import argparse
import ctypes as c
import math
import pathlib
import sys
import tempfile
import time

import numpy as np
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional as F

BOUND = 1e-5

# --- the C interface, as layers.h, nn.h, graph.h and learn.h have it ---

MAX_RANK = 8


def struct(of, /, **fields):
    return type(of, (c.Structure,), {"_fields_": list(fields.items())})


Shape = struct("fcl_shape", rank=c.c_int, dim=c.c_int64 * MAX_RANK)
Param = struct("fcl_param", name=c.c_char_p, shape=Shape, offset=c.c_size_t, init=c.c_int, scale=c.c_float,
               frozen=c.c_bool, undecayed=c.c_bool, order=c.c_int * MAX_RANK)
LayerOptions = struct("fcl_layer_options", no_bias=c.c_bool, zeros=c.c_bool, xavier=c.c_float)
Linear = struct("fcl_layer_linear", weight=c.c_int, bias=c.c_int)
ConvOptions = struct("fcl_conv2d_options", stride=c.c_int, padding=c.c_int, upsample=c.c_bool)
Conv = struct("fcl_layer_conv2d", weight=c.c_int, bias=c.c_int, how=ConvOptions)
NormOptions = struct("fcl_norm_options", epsilon=c.c_float, no_affine=c.c_bool, no_bias=c.c_bool)
LayerNorm = struct("fcl_layer_layer_norm", weight=c.c_int, bias=c.c_int, width=c.c_int64, epsilon=c.c_float)
RMSNorm = struct("fcl_layer_rms_norm", weight=c.c_int, width=c.c_int64, epsilon=c.c_float)
GroupNorm = struct("fcl_layer_group_norm", weight=c.c_int, bias=c.c_int, groups=c.c_int, channels=c.c_int64,
                   epsilon=c.c_float)
SinusoidalOptions = struct("fcl_sinusoidal_options", ddpm=c.c_bool, scale=c.c_float, period=c.c_float)
Sinusoidal = struct("fcl_layer_sinusoidal", width=c.c_int64, how=SinusoidalOptions)
Dropout = struct("fcl_layer_dropout", rate=c.c_float, stream=c.c_uint32)
Modulation = struct("fcl_layer_modulation", linear=Linear, parts=c.c_int)
ResidualOptions = struct("fcl_residual_options", out=c.c_int64, embedding=c.c_int64, scale_shift=c.c_bool, groups=c.c_int,
                         dropout=c.c_float, resample=c.c_int)
Residual = struct("fcl_layer_residual", norm=GroupNorm * 2, conv=Conv * 2, skip=Conv, embedding=Linear, dropout=Dropout,
                  has_skip=c.c_bool, how=ResidualOptions)
AttentionOptions = struct("fcl_attention_options", timm=c.c_bool, no_bias=c.c_bool, qk_norm=c.c_int, epsilon=c.c_float)
Attention = struct("fcl_layer_attention", in_weight=c.c_int, in_bias=c.c_int, out=Linear, width=c.c_int64, heads=c.c_int,
                   qk_norm=c.c_int, norm=LayerNorm * 2)
AttentionBlock = struct("fcl_layer_attention_block", norm=GroupNorm, qkv=Linear, out=Linear, channels=c.c_int64,
                        heads=c.c_int)
AttentionInputs = struct("fcl_attention_inputs", x=c.c_void_p, context=c.c_void_p, mask=c.c_void_p, bias=c.c_void_p)
F32, I32 = 0, 1
NONE, DOWN, UP = 0, 1, 2
QK_LAYER, QK_RMS = 1, 2

pointer, integer, number, text = c.c_void_p, c.c_int64, c.c_float, c.c_char_p
SIGNATURES = {  # result, arguments
    "error": (text, []),
    "device_open": (c.c_int, [text, pointer, pointer]),
    "params_create": (pointer, []),
    "params_count": (c.c_int, [pointer]),
    "params_at": (c.POINTER(Param), [pointer, c.c_int]),
    "params_check": (c.c_int, [pointer]),
    "learner_create": (c.c_int, [pointer, pointer, pointer, pointer]),
    "learner_begin_with": (c.c_int, [pointer, text]),
    "learner_bind": (c.POINTER(pointer), [pointer, pointer]),
    "learner_destroy": (None, [pointer]),
    "params_destroy": (None, [pointer]),
    "graph_create": (pointer, []),
    "graph_compile": (c.c_int, [pointer, pointer, pointer]),
    "graph_run": (c.c_int, [pointer]),
    "graph_destroy": (None, [pointer]),
    "input": (pointer, [pointer, text, c.c_int, Shape]),
    "output": (pointer, [pointer]),
    "vjp": (None, [pointer, pointer, c.c_int, pointer, pointer]),
    "tensor_shape": (Shape, [pointer]),
    "tensor_write": (c.c_int, [pointer, pointer]),
    "tensor_read": (c.c_int, [pointer, pointer]),
    "linear_declare_with": (Linear, [pointer, integer, integer, pointer, text]),
    "linear_build": (pointer, [Linear, pointer, pointer]),
    "embedding_declare": (c.c_int, [pointer, integer, integer, text]),
    "embedding_build": (pointer, [c.c_int, pointer, pointer]),
    "conv2d_declare": (Conv, [pointer, integer, integer, c.c_int, pointer, pointer, text]),
    "conv2d_build": (pointer, [Conv, pointer, pointer]),
    "layer_norm_declare": (LayerNorm, [pointer, integer, pointer, text]),
    "layer_norm_build": (pointer, [LayerNorm, pointer, pointer]),
    "rms_norm_declare": (RMSNorm, [pointer, integer, pointer, text]),
    "rms_norm_build": (pointer, [RMSNorm, pointer, pointer]),
    "group_norm_declare": (GroupNorm, [pointer, c.c_int, integer, pointer, text]),
    "group_norm_build": (pointer, [GroupNorm, pointer, pointer]),
    "sinusoidal_declare": (Sinusoidal, [pointer, integer, pointer, text]),
    "sinusoidal_build": (pointer, [Sinusoidal, pointer]),
    "dropout_declare": (Dropout, [pointer, number, text]),
    "dropout_build": (pointer, [Dropout, pointer, c.c_bool]),
    "modulation_declare": (Modulation, [pointer, integer, integer, c.c_int, text]),
    "modulation_build": (None, [Modulation, pointer, pointer, pointer]),
    "modulate": (pointer, [pointer] * 3),
    "gate": (pointer, [pointer] * 2),
    "residual_declare": (Residual, [pointer, integer, pointer, text]),
    "residual_build": (pointer, [Residual, pointer, pointer, pointer, c.c_bool]),
    "attention_declare": (Attention, [pointer, integer, c.c_int, pointer, text]),
    "attention_build": (pointer, [Attention, pointer, pointer]),
    "attention_block_declare": (AttentionBlock, [pointer, integer, c.c_int, c.c_int, text]),
    "attention_block_build": (pointer, [AttentionBlock, pointer, pointer]),
    "avg_pool2d": (pointer, [pointer]),
    "upsample2d": (pointer, [pointer]),
    "gather": (pointer, [pointer, pointer]),
    "softplus": (pointer, [pointer]),
    "gelu_tanh": (pointer, [pointer]),
    "gelu": (pointer, [pointer]),
    "silu": (pointer, [pointer]),
    "clamp": (pointer, [pointer, number, number]),
}


class Flowcl:
    """fcl_NAME is NAME; a status other than FCL_OK is an exception with the sentence."""

    def __init__(self, path):
        self.library = library = c.CDLL(path)
        for name, (result, arguments) in SIGNATURES.items():
            function = getattr(library, "fcl_" + name)
            function.restype, function.argtypes = result, arguments
            setattr(self, name, function)
        self.device = pointer()
        self.check(self.device_open(None, None, c.byref(self.device)))

    def check(self, status):
        if status:
            raise RuntimeError(self.error().decode())


def shape_of(dims):
    return Shape(len(dims), (c.c_int64 * MAX_RANK)(*dims))


def option(kind, **values):
    return c.cast(c.pointer(kind(**values)), pointer)


# --- the layers: PyTorch's module; its inputs; how flowcl declares and builds it ---

class Timm(nn.Module):
    """Attention as timm and DiT have it."""

    def __init__(self, width, heads, norm=None):
        super().__init__()
        self.heads, self.qkv, self.proj = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.q_norm, self.k_norm = (norm(width // heads) if norm else nn.Identity() for _ in range(2))

    def forward(self, x):
        b, t, w = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        q, k = self.q_norm(q), self.k_norm(k)
        scores = q @ k.transpose(-2, -1) / math.sqrt(w // self.heads)
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, w))


class MultiHead(nn.Module):
    def __init__(self, width, heads, bias=True):
        super().__init__()
        self.of = nn.MultiheadAttention(width, heads, bias=bias, batch_first=True)

    def forward(self, x, context=None, mask=None):
        context = x if context is None else context
        ignored = None if mask is None else mask == 0
        return self.of(x, context, context, key_padding_mask=ignored, need_weights=False)[0]


class Block(nn.Module):
    """ADM's ResBlock."""

    def __init__(self, channels, out, embedding=0, scale_shift=False, groups=4, resample=NONE):
        super().__init__()
        self.scale_shift, self.resample = scale_shift, resample
        self.in_layers = nn.Sequential(nn.GroupNorm(groups, channels), nn.SiLU(), nn.Conv2d(channels, out, 3, padding=1))
        if embedding:
            self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(embedding, (2 if scale_shift else 1) * out))
        self.out_layers = nn.Sequential(nn.GroupNorm(groups, out), nn.SiLU(), nn.Dropout(0),
                                        nn.Conv2d(out, out, 3, padding=1))
        self.skip_connection = nn.Conv2d(channels, out, 1) if channels != out else nn.Identity()

    def sized(self, x):
        if self.resample == DOWN:
            return F.avg_pool2d(x, 2)
        return F.interpolate(x, scale_factor=2, mode="nearest") if self.resample == UP else x

    def forward(self, x, embedding=None):
        norm, active, conv = self.in_layers
        h = conv(self.sized(active(norm(x))))
        e = 0 if embedding is None else self.emb_layers(embedding)[..., None, None]
        if self.scale_shift:
            scale, shift = torch.chunk(e, 2, 1)
            h = self.out_layers[1:](self.out_layers[0](h) * (1 + scale) + shift)
        else:
            h = self.out_layers(h + e)
        return self.skip_connection(self.sized(x)) + h


class AttentiveBlock(nn.Module):
    """ADM's AttentionBlock, in its legacy order."""

    def __init__(self, channels, heads, groups):
        super().__init__()
        self.heads, self.norm = heads, nn.GroupNorm(groups, channels)
        self.qkv, self.proj_out = nn.Conv1d(channels, 3 * channels, 1), nn.Conv1d(channels, channels, 1)

    def forward(self, x):
        n, channels, h, w = x.shape
        qkv = self.qkv(self.norm(x).flatten(2)).reshape(n, self.heads, 3, channels // self.heads, h * w)
        q, k, v = (part.transpose(-2, -1) for part in qkv.unbind(2))
        of = F.scaled_dot_product_attention(q, k, v).transpose(-2, -1).reshape(n, channels, h * w)
        return x + self.proj_out(of).reshape(x.shape)


class Modulated(nn.Module):
    def __init__(self, condition, width):
        super().__init__()
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(condition, 3 * width))

    def forward(self, x, condition):
        shift, scale, gate = self.adaLN_modulation(condition).unsqueeze(1).chunk(3, -1)
        return (x * (1 + scale) + shift) * gate


class Upsampled(nn.Module):
    def __init__(self, channels, out):
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class Plain(nn.Module):
    """A function without weights."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *x):
        return self.function(*x)


def timestep_embedding(ddpm):
    def features(t, width=64, period=10000):
        half = width // 2
        w = torch.exp(-math.log(period) * torch.arange(half, dtype=t.dtype) / (half - 1 if ddpm else half))
        return torch.cat([(t * w).sin(), (t * w).cos()] if ddpm else [(t * w).cos(), (t * w).sin()], -1)
    return Plain(features)


class Label(tuple):
    """The shape of whole numbers below `count`."""

    def __new__(cls, count, *dims):
        self = super().__new__(cls, dims)
        self.count = count
        return self


class Mask(tuple):
    """The shape of zeros and ones, the first of each row one."""


class Unit(tuple):
    """The shape of numbers in (0, 1)."""


def build_modulation(f, layer, w, x, condition):
    part = (pointer * 3)()
    f.modulation_build(layer, w, condition, part)
    return f.gate(f.modulate(x, part[0], part[1]), part[2])


def attention(f, layer, w, x, context=None, mask=None):
    return f.attention_build(layer, w, c.byref(AttentionInputs(x, context, mask, None)))


def block(channels, out, embedding=0, scale_shift=False, resample=NONE, size=8):
    inputs = [(2, channels, size, size)] + ([(2, embedding)] if embedding else [])
    how = dict(out=out, embedding=embedding, scale_shift=scale_shift, groups=4, resample=resample)
    return (Block(channels, out, embedding, scale_shift, 4, resample), inputs,
            lambda f, p: f.residual_declare(p, channels, option(ResidualOptions, **how), b"n"),
            lambda f, layer, w, x, e=None: f.residual_build(layer, w, x, e, True))


def attention_block(channels, heads, groups):
    return (AttentiveBlock(channels, heads, groups), [(2, channels, 5, 7)],
            lambda f, p: f.attention_block_declare(p, channels, heads, groups, b"n"),
            lambda f, layer, w, x: f.attention_block_build(layer, w, x))


def conv(channels, out, side, bias=True, **how):
    module = nn.Conv2d(channels, out, side, how.get("stride", 1), how.get("padding", 0), bias=bias)
    return (module, [(3, channels, 13, 10)],
            lambda f, p: f.conv2d_declare(p, channels, out, side, option(ConvOptions, **how),
                                          option(LayerOptions, no_bias=not bias), b"n"),
            lambda f, layer, w, x: f.conv2d_build(layer, w, x))


def plain(name, function, *shapes):
    return (Plain(function), list(shapes), lambda f, p: None, lambda f, layer, w, *x: getattr(f, name)(*x))


def cases():
    """name: module, shapes of its inputs, declare(flowcl, params), build(flowcl, layer, leaves, *inputs). Images are (N, C,
    H, W) here."""
    adm, ddpm = option(SinusoidalOptions), option(SinusoidalOptions, ddpm=True)
    upsampled, no_bias, timm = option(ConvOptions, padding=1, upsample=True), option(AttentionOptions, no_bias=True), \
        option(AttentionOptions, timm=True)
    layer_norms, rms_norms = (option(AttentionOptions, timm=True, qk_norm=kind) for kind in (QK_LAYER, QK_RMS))
    return {
        "linear": (nn.Linear(33, 20), [(7, 33)], lambda f, p: f.linear_declare_with(p, 33, 20, None, b"n"),
                   lambda f, layer, w, x: f.linear_build(layer, w, x)),
        "linear without bias": (nn.Linear(33, 20, bias=False), [(2, 7, 33)],
                                lambda f, p: f.linear_declare_with(p, 33, 20, option(LayerOptions, no_bias=True), b"n"),
                                lambda f, layer, w, x: f.linear_build(layer, w, x)),
        "embedding": (nn.Embedding(10, 32), [Label(10, 40)], lambda f, p: f.embedding_declare(p, 10, 32, b"n"),
                      lambda f, layer, w, label: f.embedding_build(layer, w, label)),
        "features of time, ADM's": (timestep_embedding(False), [Unit((9, 1))],
                                    lambda f, p: f.sinusoidal_declare(p, 64, adm, b"n"),
                                    lambda f, layer, w, t: f.sinusoidal_build(layer, t)),
        "features of time, DDPM's": (timestep_embedding(True), [Unit((9, 1))],
                                     lambda f, p: f.sinusoidal_declare(p, 64, ddpm, b"n"),
                                     lambda f, layer, w, t: f.sinusoidal_build(layer, t)),
        "layer norm": (nn.LayerNorm(96), [(5, 9, 96)], lambda f, p: f.layer_norm_declare(p, 96, None, b"n"),
                       lambda f, layer, w, x: f.layer_norm_build(layer, w, x)),
        "layer norm, not affine": (nn.LayerNorm(96, eps=1e-6, elementwise_affine=False), [(5, 9, 96)],
                                   lambda f, p: f.layer_norm_declare(p, 96, option(NormOptions, epsilon=1e-6, no_affine=True),
                                                                     b"n"),
                                   lambda f, layer, w, x: f.layer_norm_build(layer, w, x)),
        "RMS norm": (nn.RMSNorm(96), [(5, 9, 96)], lambda f, p: f.rms_norm_declare(p, 96, None, b"n"),
                     lambda f, layer, w, x: f.rms_norm_build(layer, w, x)),
        "group norm": (nn.GroupNorm(8, 32), [(3, 32, 7, 9)], lambda f, p: f.group_norm_declare(p, 8, 32, None, b"n"),
                       lambda f, layer, w, x: f.group_norm_build(layer, w, x)),
        "convolution 3 x 3": conv(16, 24, 3, padding=1),
        "convolution 3 x 3, stride 2": conv(16, 24, 3, padding=1, stride=2),
        "convolution 5 x 5, no bias": conv(3, 32, 5, bias=False, padding=2),
        "convolution 1 x 1": conv(16, 24, 1),
        "convolution of what is upsampled": (Upsampled(8, 12), [(2, 8, 6, 5)],
                                             lambda f, p: f.conv2d_declare(p, 8, 12, 3, upsampled, None, b"n.conv"),
                                             lambda f, layer, w, x: f.conv2d_build(layer, w, x)),
        "average pooling": plain("avg_pool2d", lambda x: F.avg_pool2d(x, 2), (2, 5, 8, 6)),
        "upsampling": plain("upsample2d", lambda x: F.interpolate(x, scale_factor=2, mode="nearest"), (2, 5, 3, 6)),
        "adaLN": (Modulated(24, 16), [(3, 5, 16), (3, 24)],
                  lambda f, p: f.modulation_declare(p, 24, 16, 3, b"n.adaLN_modulation.1"), build_modulation),
        "residual block": block(16, 16, 24),
        "residual block without embedding": block(16, 24),
        "residual block, scale and shift, down": block(16, 24, 24, True, DOWN),
        "residual block, scale and shift, up": block(16, 16, 24, True, UP),
        "residual block, up, other channels": block(16, 8, 24, False, UP),
        "attention, nn.MultiheadAttention": (MultiHead(48, 6), [(3, 17, 48)],
                                             lambda f, p: f.attention_declare(p, 48, 6, None, b"n.of"), attention),
        "attention without biases": (MultiHead(48, 2, bias=False), [(3, 17, 48)],
                                     lambda f, p: f.attention_declare(p, 48, 2, no_bias, b"n.of"), attention),
        "attention to a context, masked": (MultiHead(48, 4), [(3, 17, 48), (3, 11, 48), Mask((3, 11))],
                                           lambda f, p: f.attention_declare(p, 48, 4, None, b"n.of"), attention),
        "attention, timm's": (Timm(48, 6), [(3, 17, 48)],
                              lambda f, p: f.attention_declare(p, 48, 6, timm, b"n"), attention),
        "attention, timm's, layer norms": (Timm(48, 6, nn.LayerNorm), [(3, 17, 48)],
                                           lambda f, p: f.attention_declare(p, 48, 6, layer_norms, b"n"), attention),
        "attention, timm's, RMS norms": (Timm(48, 4, nn.RMSNorm), [(3, 17, 48)],
                                         lambda f, p: f.attention_declare(p, 48, 4, rms_norms, b"n"), attention),
        "attention block": attention_block(32, 1, 8),
        "attention block of four heads": attention_block(32, 4, 8),
        "gather along the last axis": plain("gather", lambda a, i: torch.gather(a, -1, i), (4, 3, 20), Label(20, 4, 3, 31)),
        "gelu": plain("gelu", F.gelu, (5, 77)),
        "gelu, tanh": plain("gelu_tanh", lambda x: F.gelu(x, approximate="tanh"), (5, 77)),
        "softplus": plain("softplus", F.softplus, (5, 77)),
        "silu": plain("silu", F.silu, (5, 77)),
    }


# --- both sides ---

def draw(shape):
    if isinstance(shape, Label):
        return torch.randint(shape.count, tuple(shape))
    if isinstance(shape, Mask):
        mask = torch.randint(2, tuple(shape)).float()
        mask[:, 0] = 1
        return mask
    return torch.rand(tuple(shape)) if isinstance(shape, Unit) else torch.randn(tuple(shape))


def moves(shape):
    return not isinstance(shape, (Label, Mask))


def last(tensor):
    """Channels last."""
    return (tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor).contiguous()


def first(array):
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array


def run_torch(module, shapes, inputs, u, kind):
    """Value, gradients of the inputs, gradients of the weights by their names."""
    module = module.to(kind)
    given = [x.detach().clone().to(kind).requires_grad_() if moves(s) else x for s, x in zip(shapes, inputs)]
    y = module(*given)
    module.zero_grad()
    y.backward(u.to(kind) if u is not None else torch.zeros_like(y))
    found = {"value": y} | {f"d input {i}": x.grad for i, (s, x) in enumerate(zip(shapes, given)) if moves(s)}
    found |= {"d " + name: p.grad for name, p in module.named_parameters()}
    return {name: tensor.detach().double().numpy() for name, tensor in found.items()}


def read(f, tensor):
    shape = f.tensor_shape(tensor)
    array = np.empty(tuple(shape.dim[:shape.rank]), np.float32)
    f.check(f.tensor_read(tensor, array.ctypes.data))
    return array


def write(f, tensor, values):
    array = np.ascontiguousarray(last(values).numpy(), np.float32 if values.is_floating_point() else np.int32)
    f.check(f.tensor_write(tensor, array.ctypes.data))


def in_file_order(array, slice_):
    order = list(slice_.order[:array.ndim])
    return array.transpose([order.index(d) for d in range(array.ndim)])


def begin_with(f, params, module):
    """A learner of the module's weights, through a file."""
    learner = pointer()
    f.check(f.learner_create(f.device, params, None, c.byref(learner)))
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / "net.safetensors")
        safetensors.torch.save_file({"n." + name: p.detach().contiguous() for name, p in module.named_parameters()}, path)
        f.check(f.learner_begin_with(learner, path.encode()))
    return learner


def run_flowcl(f, module, shapes, inputs, u, declare, build):
    params, graph, learner, leaves = f.params_create(), f.graph_create(), None, None
    layer = declare(f, params)
    count = f.params_count(params)
    if count:
        f.check(f.params_check(params))
        assert count == len(list(module.parameters())), "PyTorch's module has other weights"
        learner = begin_with(f, params, module)
        leaves = f.learner_bind(learner, graph)
    xs = [f.input(graph, b"x", F32 if x.is_floating_point() else I32, shape_of(last(x).shape)) for x in inputs]
    y = f.output(build(f, layer, leaves, *xs))
    seed = f.input(graph, b"u", F32, shape_of(last(u).shape))
    moving = [x for s, x in zip(shapes, xs) if moves(s)] + [leaves[i] for i in range(count)]
    gradients = (pointer * len(moving))()
    f.vjp(y, seed, len(moving), (pointer * len(moving))(*moving), gradients)
    for gradient in gradients:
        f.output(gradient)
    f.check(f.graph_compile(graph, f.device, None))
    for tensor, values in zip(xs + [seed], inputs + [u]):
        write(f, tensor, values)
    f.check(f.graph_run(graph))
    places = [i for i, s in enumerate(shapes) if moves(s)]
    found = {"value": first(read(f, y))} | {f"d input {i}": first(read(f, g)) for i, g in zip(places, gradients)}
    for i in range(count):
        slice_ = f.params_at(params, i).contents
        name = slice_.name.decode().removeprefix("n.")
        found["d " + name] = in_file_order(read(f, gradients[len(places) + i]), slice_)
    f.graph_destroy(c.byref(pointer(graph)))
    if learner:
        f.learner_destroy(c.byref(learner))
    f.params_destroy(c.byref(pointer(params)))
    return found


def error(found, expected):
    """The largest difference of any part, over its largest number; of one that is rounding alone, as the gradient of what is
    added to all keys, over the largest of all."""
    assert found.keys() == expected.keys(), (found.keys(), expected.keys())
    worst, largest = 0, max(np.abs(value).max() for value in expected.values())
    for name, value in expected.items():
        assert found[name].shape == value.shape, (name, found[name].shape, value.shape)
        scale = np.abs(value).max()
        scale = scale if scale > 1e-6 * largest else max(largest, 1e-30)
        worst = max(worst, np.abs(found[name] - value).max() / scale)
    return worst


def compare(f, module, shapes, declare, build):
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn_like(p) / math.sqrt(max(1, p[0].numel())) if p.dim() > 1 else torch.randn_like(p))
    inputs = [draw(s) for s in shapes]
    u = torch.randn_like(module(*inputs))
    single, double = run_torch(module, shapes, inputs, u, torch.float32), run_torch(module, shapes, inputs, u, torch.float64)
    module.float()
    ours = run_flowcl(f, module, shapes, inputs, u, declare, build)
    return error(ours, single), error(ours, double), error(single, double)


def compare_dropout(f):
    """What is kept is PyTorch's x / (1 - rate), as often as in PyTorch; whose draws are others."""
    params, graph, x = f.params_create(), f.graph_create(), torch.randn(256, 256)
    leaf = f.input(graph, b"x", F32, shape_of(x.shape))
    y = f.output(f.dropout_build(f.dropout_declare(params, 0.3, b"n"), leaf, True))
    f.check(f.graph_compile(graph, f.device, None))
    write(f, leaf, x)
    f.check(f.graph_run(graph))
    ours, theirs = read(f, y), F.dropout(x, 0.3).numpy()
    both = (ours != 0) & (theirs != 0)
    assert abs((ours != 0).mean() - (theirs != 0).mean()) < 6 * math.sqrt(2 * 0.21 / x.numel())
    return np.abs(ours - theirs)[both].max() / np.abs(theirs).max()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", default="build/src/libflowcl.so")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="", help="layers whose name contains this")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    f, wrong = Flowcl(options.library), 0
    print(f"PyTorch {torch.__version__}, seed {options.seed}\n{'':40} flowcl, PyTorch   flowcl, double   PyTorch, double")
    for name, case in cases().items():
        if options.only in name:
            between, ours, theirs = compare(f, *case)
            wrong += not between <= BOUND
            verdict = "" if between <= BOUND else "   WRONG"
            print(f"{name:40} {between:15.1e} {ours:16.1e} {theirs:17.1e}{verdict}", flush=True)
    if options.only in "dropout":
        between = compare_dropout(f)
        wrong += not between <= BOUND
        print(f"{'dropout':40} {between:15.1e}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
