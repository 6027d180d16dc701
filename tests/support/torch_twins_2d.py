"""2-D networks written out in PyTorch from their papers, to run on the weights of this project's (by parameter name).

Each takes x (N, C, y, x) and `p`, parameter name -> tensor, of any float type; batch norm is that of training.
"""

from __future__ import annotations

import torch

F = torch.nn.functional

BLOCKS = (3, 4, 6, 3)


def conv(x, p, name, stride=1, dilation=1):
    """Padded so that an odd kernel at stride 1 keeps the size."""
    weight = p[f"{name}.weight"]
    return F.conv2d(x, weight, p.get(f"{name}.bias"), stride, dilation * (weight.shape[-1] - 1) // 2, dilation)


def norm(x, p, name):
    if f"{name}.gamma" not in p:
        return x
    return F.batch_norm(x, None, None, p[f"{name}.gamma"], p[f"{name}.beta"], training=True)


def act(x, p, name):
    """PReLU where the network has slopes, else ReLU."""
    return F.prelu(x, p[f"{name}.w"]) if f"{name}.w" in p else F.relu(x)


def linear(x, p, name, stride=1, dilation=1):
    return norm(conv(x, p, f"{name}.conv", stride, dilation), p, f"{name}.norm")


def block(x, p, name, stride=1, dilation=1):
    return act(linear(x, p, name, stride, dilation), p, f"{name}.act")


def double_conv(x, p, name):
    return block(block(x, p, f"{name}.0"), p, f"{name}.1")


def up(x, factor):
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def resnet34(x, p, name, stages, dilated=False):
    features = [block(x, p, f"{name}.stem", stride=2)]
    for stage in range(stages):
        x = F.max_pool2d(features[0], 3, 2, 1) if stage == 0 else features[-1]
        last = dilated and stage == stages - 1
        for number in range(BLOCKS[stage]):
            here = f"{name}.stages.{stage}.{number}"
            stride = 2 if stage > 0 and number == 0 and not last else 1
            shortcut = x if f"{here}.shortcut.conv.weight" not in p else linear(x, p, f"{here}.shortcut", stride)
            y = block(x, p, f"{here}.stage.convs.0", stride, 2 if last else 1)
            x = F.relu(linear(y, p, f"{here}.stage.convs.1", dilation=2 if last else 1) + shortcut)
        features.append(x)
    return features


def unet_resnet34(x, p, depth):
    features = resnet34(x, p, "encoder", depth - 2)
    x = features.pop()
    for level in reversed(range(1, depth - 1)):
        x = double_conv(torch.cat([features.pop(), up(x, 2)], 1), p, f"decoder.{level}")
    return conv(double_conv(up(x, 2), p, "decoder.0"), p, "head")


def deeplabv3plus(x, p, depth):
    """Chen 2018, figure 2, at output stride 16 (depth 6) or 8 (depth 5)."""
    features = resnet34(x, p, "encoder", depth - 2, dilated=True)
    x, rates = features[-1], {6: (6, 12, 18), 5: (12, 24, 36)}[depth]
    scales = [block(x, p, "pyramid.branches.0")]
    scales += [block(x, p, f"pyramid.branches.{k + 1}", dilation=rate) for k, rate in enumerate(rates)]
    scales.append(block(x.mean((2, 3), keepdim=True), p, "pyramid.reduce_mean").expand_as(scales[0]))
    context = up(block(torch.cat(scales, 1), p, "pyramid.fuse"), {6: 4, 5: 2}[depth])
    return up(
        conv(double_conv(torch.cat([context, block(features[1], p, "reduce_low")], 1), p, "decoder"), p, "head.0"), 4
    )


def ms_vnet25d(x, p, depth):
    def residual_stage(x, shortcut, name, dilations):
        for index, dilation in enumerate(dilations):
            apply = linear if index == len(dilations) - 1 else block
            x = apply(x, p, f"{name}.convs.{index}", dilation=dilation)
        return act(x + shortcut, p, f"{name}.act")

    def squeeze(x, name):
        hidden = F.relu(conv(x.mean((2, 3), keepdim=True), p, f"{name}.reduce"))
        return x * torch.sigmoid(conv(hidden, p, f"{name}.expand"))

    def gate(skip, signal, name):
        both = conv(skip, p, f"{name}.from_skip", stride=2) + conv(signal, p, f"{name}.from_signal")
        return skip * up(torch.sigmoid(conv(F.relu(both), p, f"{name}.score")), 2)

    def dilations(level):
        return (2, 3, 5) if level == depth - 1 else (1,) * min(level + 1, 3)

    image = x
    skips = [squeeze(residual_stage(x, linear(x, p, "project"), "encoder.0", dilations(0)), "squeeze.0")]
    for level in range(1, depth):
        image = F.avg_pool2d(image, 2)
        down = block(skips[-1], p, f"down.{level - 1}", stride=2)
        x = torch.cat([down, block(image, p, f"see.{level - 1}")], 1)
        skips.append(squeeze(residual_stage(x, down, f"encoder.{level}", dilations(level)), f"squeeze.{level}"))
    x = skips.pop()
    for level in reversed(range(depth - 1)):
        risen = norm(F.conv_transpose2d(x, p[f"up.{level}.0.weight"], stride=2), p, f"up.{level}.1")
        risen = act(risen, p, f"up.{level}.2")
        x = torch.cat([gate(skips.pop(), x, f"gates.{level}"), risen], 1)
        x = residual_stage(x, x, f"decoder.{level}", dilations(level))
    return conv(x, p, "head")
