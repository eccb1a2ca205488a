"""What an aten operator costs: a formula for its multiply-accumulates, or free by name; anything else is an error.

MACs are multiply-accumulates of convolutions, linear layers, matrix products and Fourier transforms, as the NAS
literature counts them: an addition of a bias, an activation, a normalisation, a pooling or a resampling is free. Where
PyTorch's FlopCounterMode counts an operator, it counts twice as much (a multiply-accumulate is two operations).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from hwnas.errors import TraceError

__all__ = ["MacFormula", "MacFormulas", "count_macs", "is_view"]

MacFormula = Callable[[Sequence[Any], Any], int]
"""From the operator's arguments (in the order of its schema, defaults filled in) and its result to its MACs."""

MacFormulas = Mapping[str, int | MacFormula]
"""By the operator's name without overload, "aten::svd": a formula, or a constant (0: free)."""


def count_macs(
    operator: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any], out: Any, extra: MacFormulas
) -> int:
    """The MACs of one call of an operator.

    Args:
        operator: an overload of an operator.
        args: its positional arguments.
        kwargs: its keyword arguments.
        out: its result.
        extra: formulas of the user's, which go before those here.

    Raises:
        TraceError: an operator that is neither counted nor free.
    """
    name = operator._schema.name
    own = name.removeprefix("aten::").removesuffix("_") if name.startswith("aten::") else name
    formula = extra.get(name, _FORMULAS.get(own))
    if formula is None:
        if own in _FREE or torch.Tag.pointwise in operator.tags or is_view(operator):
            return 0
        raise TraceError(
            f"Nobody knows how many multiply-accumulates the operator {name!r} has. Give the profiler (or "
            f"`count`) the argument operators={{{name!r}: formula}}, with a function of the operator's arguments and "
            "result, or a number: 0 if it is free."
        )
    if isinstance(formula, int):
        return formula
    schema = operator._schema.arguments
    filled = [
        args[i] if i < len(args) else kwargs.get(argument.name, argument.default_value)
        for i, argument in enumerate(schema)
    ]
    return int(formula(filled, out))


def is_view(operator: OpOverload) -> bool:
    """Whether an operator only looks at the memory of its input in another way."""
    return operator.is_view or operator._schema.name in ("aten::_unsafe_view", "aten::detach", "aten::lift_fresh")


def _convolution(args: Sequence[Any], out: Any) -> int:
    x, weight, transposed = args[0], args[1], args[6]
    each: int = math.prod(weight.shape[1:])  # of one output element; of one input element if transposed
    return each * int(x.numel() if transposed else out.numel())


def _matrix_product(left: int, right: int) -> MacFormula:
    """Of a product whose factors are these arguments; a batched one, or with a vector."""

    def formula(args: Sequence[Any], out: Any) -> int:
        columns = args[right].shape[-1] if args[right].dim() > 1 else 1
        return int(args[left].numel()) * int(columns)

    return formula


def _outer_sum(args: Sequence[Any], out: Any) -> int:
    """`addbmm`: a batched product, summed over the batch."""
    return int(args[1].numel()) * int(args[2].shape[-1])


def _attention(args: Sequence[Any], out: Any) -> int:
    """Queries times keys, and weights times values."""
    *batch, num_queries, width = args[0].shape
    num_keys, value_width = args[2].shape[-2:]
    return math.prod(batch) * num_queries * num_keys * (width + value_width)


def _trilinear(args: Sequence[Any], out: Any) -> int:
    """One for each element of the product of three tensors, before it is summed (`nn.Bilinear`)."""
    tensors, expanded = args[:3], args[3:6]
    rank = tensors[0].dim() + len(expanded[0])
    sizes = [1] * rank
    for tensor, dims in zip(tensors, expanded, strict=True):
        shape = iter(tensor.shape)
        for position in range(rank):
            if position not in dims:
                sizes[position] = max(sizes[position], int(next(shape)))
    return math.prod(sizes)


def _fft(args: Sequence[Any], out: Any) -> int:
    """5 N log2 N real operations for N complex points, half if one side is real; two operations are a MAC.

    The count by which FFTs are compared: Frigo and Johnson, "The Design and Implementation of FFTW3", Proceedings of
    the IEEE 93(2), 2005.
    """
    x, dims = args[0], args[1]
    sides: list[Tensor] = [x, out]
    points = max(sides, key=lambda side: side.numel())
    length = math.prod(int(points.shape[dim]) for dim in dims)
    halves = 5 if all(side.is_complex() for side in sides) else 2.5
    return math.ceil(halves * int(points.numel()) * math.log2(max(length, 1)) / 2)


def _distances(args: Sequence[Any], out: Any) -> int:
    return int(out.numel()) * int(args[0].shape[-1])


def _mkldnn_recurrent(args: Sequence[Any], out: Any) -> int:
    x, input_weight, hidden_weight = args[:3]
    return math.prod(x.shape[:2]) * int(input_weight.numel() + hidden_weight.numel())


_FORMULAS: dict[str, MacFormula] = {
    "convolution": _convolution,
    "_convolution": _convolution,
    "mm": _matrix_product(0, 1),
    "bmm": _matrix_product(0, 1),
    "mv": _matrix_product(0, 1),
    "dot": _matrix_product(0, 1),
    "vdot": _matrix_product(0, 1),
    "_int_mm": _matrix_product(0, 1),
    "linear": lambda args, out: int(args[0].numel()) * int(args[1].shape[0]),
    "addmm": _matrix_product(1, 2),
    "addmv": _matrix_product(1, 2),
    "baddbmm": _matrix_product(1, 2),
    "_addmm_activation": _matrix_product(1, 2),
    "addbmm": _outer_sum,
    "_scaled_dot_product_flash_attention": _attention,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "_scaled_dot_product_efficient_attention": _attention,
    "_scaled_dot_product_cudnn_attention": _attention,
    "_scaled_dot_product_fused_attention_overrideable": _attention,
    "_trilinear": _trilinear,
    "_fft_r2c": _fft,
    "_fft_c2r": _fft,
    "_fft_c2c": _fft,
    "_cdist_forward": _distances,
    "_euclidean_dist": _distances,
    "_pdist_forward": _distances,
    "mkldnn_rnn_layer": _mkldnn_recurrent,
}

_FREE = frozenset(
    [
        "_adaptive_avg_pool2d",
        "_adaptive_avg_pool3d",
        "adaptive_max_pool2d",
        "adaptive_max_pool3d",
        "avg_pool1d",
        "avg_pool2d",
        "avg_pool3d",
        "fractional_max_pool2d",
        "fractional_max_pool3d",
        "max_pool2d_with_indices",
        "max_pool3d_with_indices",
        "max_unpool2d",
        "max_unpool3d",
        "_native_batch_norm_legit",
        "_native_batch_norm_legit_functional",
        "_native_batch_norm_legit_no_training",
        "_batch_norm_no_update",
        "_batch_norm_with_update",
        "native_batch_norm",
        "native_group_norm",
        "native_layer_norm",
        "_fused_rms_norm",
        "renorm",
        "_weight_norm_interface",
        "_log_softmax",
        "_safe_softmax",
        "_softmax",
        "_prelu_kernel",
        "glu",
        "log_sigmoid_forward",
        "rrelu_with_noise",
        "hardswish",
        "gelu",
        "mish",
        "threshold",
        "native_dropout",
        "_fused_dropout",
        "dropout",
        "all",
        "amax",
        "amin",
        "aminmax",
        "any",
        "argmax",
        "argmin",
        "argsort",
        "bincount",
        "bucketize",
        "count_nonzero",
        "cummax",
        "cummin",
        "cumprod",
        "cumsum",
        "dist",
        "histc",
        "isin",
        "kthvalue",
        "linalg_vector_norm",
        "logcumsumexp",
        "logsumexp",
        "max",
        "mean",
        "median",
        "min",
        "mode",
        "nanmedian",
        "nansum",
        "norm",
        "prod",
        "searchsorted",
        "sort",
        "std",
        "std_mean",
        "sum",
        "topk",
        "trace",
        "unique_consecutive",
        "_unique",
        "_unique2",
        "unique_dim",
        "var",
        "var_mean",
        "equal",
        "cat",
        "stack",
        "split",
        "split_with_sizes",
        "unsafe_split",
        "unsafe_split_with_sizes",
        "chunk",
        "constant_pad_nd",
        "reflection_pad1d",
        "reflection_pad2d",
        "reflection_pad3d",
        "replication_pad1d",
        "replication_pad2d",
        "replication_pad3d",
        "flip",
        "roll",
        "rot90",
        "repeat",
        "repeat_interleave",
        "tril",
        "triu",
        "diag_embed",
        "block_diag",
        "channel_shuffle",
        "pixel_shuffle",
        "pixel_unshuffle",
        "im2col",
        "col2im",
        "index",
        "index_add",
        "index_copy",
        "index_fill",
        "index_put",
        "index_reduce",
        "index_select",
        "_unsafe_index",
        "_unsafe_index_put",
        "_unsafe_masked_index",
        "gather",
        "scatter",
        "scatter_add",
        "scatter_reduce",
        "select_scatter",
        "slice_scatter",
        "diagonal_scatter",
        "as_strided_scatter",
        "masked_fill",
        "masked_scatter",
        "masked_select",
        "nonzero",
        "nonzero_static",
        "take",
        "embedding",
        "_embedding_bag",
        "_embedding_bag_forward_only",
        "_to_copy",
        "clone",
        "copy",
        "fill",
        "fill_",
        "lift",
        "lift_fresh_copy",
        "resize",
        "resize_as",
        "_reshape_copy",
        "_resize_output",
        "set",
        "zero",
        "alias",
        "contiguous",
        "complex",
        "polar",
        "_local_scalar_dense",
        "is_same_size",
        "item",
        "_to_dense",
        "arange",
        "empty",
        "empty_like",
        "empty_permuted",
        "empty_strided",
        "eye",
        "full",
        "full_like",
        "linspace",
        "logspace",
        "new_empty",
        "new_empty_strided",
        "new_full",
        "new_ones",
        "new_zeros",
        "ones",
        "ones_like",
        "scalar_tensor",
        "zeros",
        "zeros_like",
        "tril_indices",
        "triu_indices",
        "bartlett_window",
        "blackman_window",
        "hamming_window",
        "hann_window",
        "kaiser_window",
        "bernoulli",
        "cauchy",
        "exponential",
        "geometric",
        "log_normal",
        "multinomial",
        "normal",
        "poisson",
        "rand",
        "rand_like",
        "randint",
        "randint_like",
        "randn",
        "randn_like",
        "randperm",
        "random",
        "uniform",
        "_standard_gamma",
        "_upsample_bicubic2d_aa",
        "_upsample_bilinear2d_aa",
        "_upsample_nearest_exact1d",
        "_upsample_nearest_exact2d",
        "_upsample_nearest_exact3d",
        "upsample_bicubic2d",
        "upsample_bilinear2d",
        "upsample_linear1d",
        "upsample_nearest1d",
        "upsample_nearest2d",
        "upsample_nearest3d",
        "upsample_trilinear3d",
        "affine_grid_generator",
        "grid_sampler_2d",
        "grid_sampler_3d",
        "_grid_sampler_2d_cpu_fallback",
        "binary_cross_entropy",
        "huber_loss",
        "mse_loss",
        "nll_loss2d_forward",
        "nll_loss_forward",
        "smooth_l1_loss",
        "soft_margin_loss",
        "t",
        "transpose",
        "squeeze",
        "unsqueeze",
        "as_strided",
        "_assert_async",
        "_assert_scalar",
        "_assert_tensor_metadata",
        "_functional_assert_async",
        "sym_size",
        "sym_stride",
        "_thnn_fused_lstm_cell",
        "_thnn_fused_gru_cell",
        "_pack_padded_sequence",
    ]
)
"""Free operators, beside views and those that PyTorch tags as pointwise."""
