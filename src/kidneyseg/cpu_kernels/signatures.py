"""The tensors of each kernel, by name and in the order in which MindSpore passes them: inputs, then outputs.

Each KERNEL in ``source/*.cc`` names the same tensors in an enum: both must agree. tests/cpu_kernels/test_signatures.py
compares them. A name with an asterisk stands for any number of tensors.
"""

SIGNATURES = {
    "ActivationForward": "x, slope -> y",
    "ActivationBackward": "x, slope, dy -> dx",
    "SpatialMeanForward": "x -> y",
    "BroadcastForward": "x, like -> y",
    "ScaleForward": "x, gate -> y",
    "ScaleBackwardGate": "dy, x, gate -> dgate",
    "ConvolutionForward": "x, weights, geometry -> y",
    "ConvolutionBiasForward": "x, weights, bias, geometry -> y",
    "ConvolutionEpilogueForward": "x, weights, epilogue, geometry -> y",
    "ConvolutionAddEpilogueForward": "x, weights, epilogue, addend, geometry -> y",
    "ConvolutionBackwardData": "dy, weights, marker, geometry -> dx",
    "ConvolutionBackwardWeights": "x, dy, weights, geometry -> dweights",
    "ConvolutionBackwardBias": "dy -> dbias",
    "TransposedConvolutionForward": "x, weights, geometry -> y",
    "TransposedConvolutionBiasForward": "x, weights, bias, geometry -> y",
    "SubpixelConvolutionForward": "x, weights, border, epilogue, addend -> y",
    "UpsampledConvolutionForward": "z -> y",
    "UpsampledConvolutionEpilogueForward": "z, epilogue -> y",
    "UpsampledConvolutionBackward": "dy -> dz",
    "ToChannelsLast": "x -> y",
    "ToChannelsFirst": "x -> y",
    "ConcatForward": "*x -> y",
    "ConcatBackward": "dy, *markers -> *dx",
    "BatchNormForward": "z, gamma, beta, slope, moving_mean, moving_variance, settings"
    " -> y, mean, inverse_deviation, new_moving_mean, new_moving_variance",
    "InstanceNormForward": "z, gamma, beta, slope, settings -> y, mean, inverse_deviation",
    "NormBackward": "z, gamma, beta, slope, mean, inverse_deviation, dy, settings -> dz, dgamma, dbeta, dslope",
    "MaxPoolForward": "x, settings -> y",
    "MaxPoolBackward": "x, y, dy, settings -> dx",
    "AveragePoolForward": "x, settings -> y",
    "AveragePoolBackward": "x, dy, settings -> dx",
    "UpsampleLinearForward": "x -> y",
    "UpsampleLinearBackward": "dy -> dx",
    "UpsampleNearestForward": "x -> y",
    "UpsampleNearestBackward": "dy -> dx",
}


def outputs(kernel: str) -> int:
    """Their number."""
    return SIGNATURES[kernel].partition(" -> ")[2].count(",") + 1
