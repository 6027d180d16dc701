"""Networks written out in PyTorch from their papers, to run on the weights of this project's (by parameter name).

Each takes x (N, C, z, y, x) and `p`, parameter name -> tensor, of any float type; batch norm is that of training.
"""

from __future__ import annotations

import torch

F = torch.nn.functional


def parameters(network, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """The trainable parameters of a MindSpore network."""
    return {p.name: torch.tensor(p.asnumpy(), dtype=dtype, requires_grad=True) for p in network.trainable_params()}


def norm(x, p, name):
    gamma, beta = p[f"{name}.gamma"], p[f"{name}.beta"]
    if p["norm"] == "batch":
        return F.batch_norm(x, None, None, gamma, beta, training=True)
    return F.instance_norm(x, weight=gamma, bias=beta)


def conv(x, p, name, stride=1):
    """Padded so that an odd kernel at stride 1 keeps the size."""
    weight = p[f"{name}.weight"]
    padding = tuple((length - 1) // 2 for length in weight.shape[2:])
    return F.conv3d(x, weight, p.get(f"{name}.bias"), stride, padding)


def conv_norm_act(x, p, name, stride=1, act=F.relu):
    return act(norm(conv(x, p, f"{name}.conv", stride), p, f"{name}.norm"))


def identity(x):
    return x


def residual_stage(x, shortcut, p, name):
    x = conv_norm_act(conv_norm_act(x, p, f"{name}.convs.0"), p, f"{name}.convs.1", act=identity)
    return F.relu(x + shortcut)


def residual_block(x, p, name):
    projected = f"{name}.shortcut.conv.weight" in p
    return residual_stage(
        x, conv_norm_act(x, p, f"{name}.shortcut", act=identity) if projected else x, p, f"{name}.stage"
    )


def double_conv(x, p, name):
    return conv_norm_act(conv_norm_act(x, p, f"{name}.0"), p, f"{name}.1")


def attention_gate(skip, signal, p, name):
    """Oktay 2018, figure 2, with the signal from the next coarser level."""
    both = conv(skip, p, f"{name}.from_skip", stride=2) + conv(signal, p, f"{name}.from_signal")
    score = torch.sigmoid(conv(F.relu(both), p, f"{name}.score"))
    return skip * F.interpolate(score, scale_factor=2, mode="trilinear", align_corners=False)


def unet3d(x, p, depth, residual=False, attention=False):
    """Cicek 2016."""
    level = residual_block if residual else double_conv
    skips = [level(x, p, "encoder.0")]
    for k in range(1, depth):
        skips.append(level(F.max_pool3d(skips[-1], 2), p, f"encoder.{k}"))
    x = skips.pop()
    for k in reversed(range(depth - 1)):
        skip = attention_gate(skips[k], x, p, f"gates.{k}") if attention else skips[k]
        x = level(torch.cat([skip, F.conv_transpose3d(x, p[f"up.{k}.weight"], stride=2)], 1), p, f"decoder.{k}")
    return conv(x, p, "head")


def resunet(x, p, depth, strides):
    """Logits of all levels at their own size, level 0 first."""
    skips = [residual_block(x, p, "encoder.0")]
    for k in range(1, depth):
        skips.append(residual_block(conv_norm_act(skips[-1], p, f"down.{k - 1}", strides), p, f"encoder.{k}"))
    x = residual_stage(skips[-1], skips[-1], p, f"decoder.{depth - 1}")
    features = [x]
    for k in reversed(range(depth - 1)):
        x = F.relu(norm(F.conv_transpose3d(x, p[f"up.{k}.0.weight"], stride=strides), p, f"up.{k}.1"))
        x = residual_stage(torch.cat([skips[k], x], 1), x, p, f"decoder.{k}")
        features.insert(0, x)
    heads = ["heads.0"] + [f"heads.{k}.0" for k in range(1, depth)]
    return [conv(x, p, name) for x, name in zip(features, heads) if f"{name}.weight" in p]


def isensee3d(x, p, depth):
    """Isensee 2017, out of training as far as dropout goes."""

    def leaky(x):
        return F.leaky_relu(x, 0.01)

    def context(x, name):
        y = x
        for part in ("first", "second"):
            y = conv(leaky(norm(y, p, f"{name}.{part}.norm")), p, f"{name}.{part}.conv")
        return x + y

    def repeat(x, factor):
        for axis in (2, 3, 4):
            x = x.repeat_interleave(factor, axis)
        return x

    skips = []
    for k in range(depth):
        x = context(conv_norm_act(x, p, f"encoder.{k}.0", 1 if k == 0 else 2, leaky), f"encoder.{k}.1")
        skips.append(x)
    logits = 0
    for k in reversed(range(depth - 1)):
        up = conv_norm_act(repeat(x, 2), p, f"up.{k}.1", act=leaky)
        x = torch.cat([skips[k], up], 1)
        if k == 0:
            x = conv_norm_act(x, p, "decoder.0", act=leaky)
        else:
            x = conv_norm_act(conv_norm_act(x, p, f"decoder.{k}.0", act=leaky), p, f"decoder.{k}.1", act=leaky)
        if k < 3:
            logits = logits + repeat(conv(x, p, f"heads.{k}.0" if k else "heads.0"), 2**k)
    return logits
