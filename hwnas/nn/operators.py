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
from hwnas.nn.free_operators import FREE_OPERATORS

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
        if own in FREE_OPERATORS or torch.Tag.pointwise in operator.tags or is_view(operator):
            return 0
        raise TraceError(
            f"Nobody knows how many multiply-accumulates the operator {name!r} has. Give the ModelSpace (or "
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
    elements: int = x.numel() if transposed else out.numel()
    return each * elements


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
    pairs = int(math.prod(batch) * num_queries * num_keys)
    return pairs * int(width + value_width)


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
    return int(math.prod(x.shape[:2]) * (input_weight.numel() + hidden_weight.numel()))


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
