"""The diffusion transformer in PyTorch, under the names that SiT's and DiT's files have: what compare_models.py holds flowcl's
dit against, and compare_pytorch.py trains. Written from the papers (arXiv 2212.09748, 2401.08740), of timm's layers.
"""
import functools
import math

import torch
from timm.layers import Attention, Mlp, PatchEmbed
from torch import nn
from torch.nn import functional as F

FEATURES = 256


class RMSNorm(nn.RMSNorm):
    def __init__(self, width, **how):
        super().__init__(width, **({"eps": 1e-6} | how))


NORMS = {"layer": functools.partial(nn.LayerNorm, eps=1e-6), "rms": RMSNorm}


class SwiGLU(nn.Module):
    def __init__(self, width):
        super().__init__()
        hidden = 8 * width // 3
        self.w12, self.w3 = nn.Linear(width, 2 * hidden), nn.Linear(hidden, width)

    def forward(self, h):
        a, b = self.w12(h).chunk(2, -1)
        return self.w3(F.silu(a) * b)


def perceptron(kind, width):
    return SwiGLU(width) if kind == "swiglu" else Mlp(width, 4 * width, act_layer=lambda: nn.GELU(approximate="tanh"))


def modulation(width, parts):
    layer = nn.Sequential(nn.SiLU(), nn.Linear(width, parts * width))
    nn.init.zeros_(layer[1].weight)
    nn.init.zeros_(layer[1].bias)
    return layer


def modulate(h, shift, scale):
    return h * (1 + scale[:, None]) + shift[:, None]


class Block(nn.Module):
    def __init__(self, width, heads, norm, mlp, qk_norm):
        super().__init__()
        self.norm1, self.norm2 = (NORMS[norm](width, elementwise_affine=False) for _ in range(2))
        self.attn = Attention(width, heads, qkv_bias=True, qk_norm=qk_norm, norm_layer=NORMS[norm])
        self.mlp = perceptron(mlp, width)
        self.adaLN_modulation = modulation(width, 6)

    def forward(self, h, c):
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c).chunk(6, 1)
        h = h + gate1[:, None] * self.attn(modulate(self.norm1(h), shift1, scale1))
        return h + gate2[:, None] * self.mlp(modulate(self.norm2(h), shift2, scale2))


class Last(nn.Module):
    def __init__(self, width, numbers, norm):
        super().__init__()
        self.norm_final = NORMS[norm](width, elementwise_affine=False)
        self.linear = nn.Linear(width, numbers)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.adaLN_modulation = modulation(width, 2)

    def forward(self, h, c):
        return self.linear(modulate(self.norm_final(h), *self.adaLN_modulation(c).chunk(2, 1)))


class Times(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(FEATURES, width), nn.SiLU(), nn.Linear(width, width))
        for layer in (self.mlp[0], self.mlp[2]):
            nn.init.normal_(layer.weight, std=0.02)
        half = FEATURES // 2
        self.register_buffer("w", torch.exp(-math.log(10000) * torch.arange(half) / half), persistent=False)

    def forward(self, t):
        angle = t[:, None] * self.w
        return self.mlp(torch.cat([angle.cos(), angle.sin()], 1))


class Labels(nn.Module):
    def __init__(self, labels, width):
        super().__init__()
        self.embedding_table = nn.Embedding(labels, width)
        nn.init.normal_(self.embedding_table.weight, std=0.02)


def positions(rows, columns, width):
    """(1, T, D): sines and cosines of the column, then of the row."""
    def along(place):
        w = 10000 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
        angle = place.double()[:, None] * w
        return torch.cat([angle.sin(), angle.cos()], 1)

    place = torch.arange(rows * columns)
    return torch.cat([along(place % columns), along(place // columns)], 1).float()[None]


class SiT(nn.Module):
    """The velocity at the time t (B), of pictures x (B, C, H, W) and labels y (B)."""

    def __init__(self, sample, patch=4, width=192, depth=6, heads=6, labels=0, norm="layer", mlp="gelu", qk_norm=False,
                 time_scale=1000):
        super().__init__()
        channels, height, breadth = sample
        self.patch, self.channels, self.time_scale = patch, channels, time_scale
        self.rows, self.columns = height // patch, breadth // patch
        self.x_embedder = PatchEmbed((height, breadth), patch, channels, width)
        self.pos_embed = nn.Parameter(positions(self.rows, self.columns, width), requires_grad=False)
        self.t_embedder = Times(width)
        if labels:
            self.y_embedder = Labels(labels, width)
        self.blocks = nn.ModuleList(Block(width, heads, norm, mlp, qk_norm) for _ in range(depth))
        self.final_layer = Last(width, patch * patch * channels, norm)

    def forward(self, t, x, y=None):
        c = self.t_embedder(self.time_scale * t if self.time_scale > 0 else -self.time_scale * (1 - t))
        if y is not None:
            c = c + self.y_embedder.embedding_table(y)
        h = self.x_embedder(x) + self.pos_embed
        for block in self.blocks:
            h = block(h, c)
        h = self.final_layer(h, c).reshape(len(x), self.rows, self.columns, self.patch, self.patch, self.channels)
        return torch.einsum("nhwpqc->nchpwq", h).reshape(x.shape)
