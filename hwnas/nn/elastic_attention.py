"""Self-attention whose width and number of heads may vary."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from torch import fx, nn
from torch.nn import functional

from hwnas.errors import SpaceError
from hwnas.nn.argument import Argument, Elastic
from hwnas.nn.elastic_layer import ElasticLayer, is_positive
from hwnas.nn.slicing import shallow_copy, slice_linear
from hwnas.space import Option

__all__ = ["ElasticAttention"]


class ElasticAttention(ElasticLayer):
    """Multi-head self-attention, (..., tokens, embed_dim) to the same shape; smaller ones use the first heads.

    The width of a head is fixed, so that a head means the same in every subnet. Frozen, it is a
    `torch.fx.GraphModule` of linear layers and `scaled_dot_product_attention`: `nn.MultiheadAttention` ties the
    width of its heads to `embed_dim`, so that it cannot have fewer heads of one width.

    Attributes:
        query: linear layer for the queries of all heads; likewise `key` and `value`.
        out: linear layer from all heads to the output.
    """

    def __init__(
        self,
        embed_dim: Elastic[int],
        num_heads: Elastic[int],
        *,
        head_dim: int | None = None,
        bias: bool = True,
        is_causal: bool = False,
        dropout: float = 0.0,
    ) -> None:
        """Makes the largest attention.

        Args:
            embed_dim: elastic; the width of the tokens.
            num_heads: elastic.
            head_dim: width of a head; None for the largest embed_dim divided by the most heads.
            bias: whether the linear layers have one.
            is_causal: whether a token sees only itself and those before it.
            dropout: probability in [0, 1), of the output's entries, while training.

        Raises:
            SpaceError: numbers that are not possible.
        """
        super().__init__()
        self._arguments = {
            "embed_dim": Argument("embed_dim", embed_dim, check=is_positive, expected="a positive integer"),
            "num_heads": Argument("num_heads", num_heads, check=is_positive, expected="a positive integer"),
        }
        width, heads = (max(argument.values) for argument in self._arguments.values())
        if head_dim is None:
            if width % heads:
                raise SpaceError(
                    f"The most heads must divide the largest `embed_dim`; got {heads} and {width}. Give `head_dim`."
                )
            head_dim = width // heads
        if not is_positive(head_dim):
            raise SpaceError(f"`head_dim` must be a positive integer; got {head_dim!r}.")
        if not 0 <= dropout < 1:
            raise SpaceError(f"`dropout` must be at least 0 and below 1; got {dropout!r}.")
        self.head_dim = head_dim
        self.is_causal = is_causal
        self.query = nn.Linear(width, heads * head_dim, bias=bias)
        self.key = nn.Linear(width, heads * head_dim, bias=bias)
        self.value = nn.Linear(width, heads * head_dim, bias=bias)
        self.out = nn.Linear(heads * head_dim, width, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def select(self, options: Mapping[str, Option], view: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """The attention of the chosen width and heads."""
        width, heads = (argument.value(options) for argument in self._arguments.values())
        inner = heads * self.head_dim
        program = _program(self.head_dim, self.is_causal)
        layers = {
            "query": slice_linear(self.query, width, inner),
            "key": slice_linear(self.key, width, inner),
            "value": slice_linear(self.value, width, inner),
            "out": slice_linear(self.out, inner, width),
            "dropout": self.dropout,
        }
        return shallow_copy(program, type(program), _modules=layers, training=self.training)


@functools.lru_cache(maxsize=64)
def _program(head_dim: int, is_causal: bool) -> fx.GraphModule:
    """Attention as plain PyTorch, for any number of heads; its layers are put in later.

    Making one takes a millisecond, so that each is made once.
    """
    graph = fx.Graph()
    x = graph.placeholder("x")
    layers = nn.ModuleDict({name: nn.Identity() for name in ("query", "key", "value", "out", "dropout")})
    heads = []
    for name in ("query", "key", "value"):
        projected = graph.call_module(name, (x,))
        split = graph.call_method("unflatten", (projected, -1, (-1, head_dim)))
        heads.append(graph.call_method("transpose", (split, -3, -2)))
    attended = graph.call_function(functional.scaled_dot_product_attention, tuple(heads), {"is_causal": is_causal})
    joined = graph.call_method("flatten", (graph.call_method("transpose", (attended, -3, -2)), -2))
    graph.output(graph.call_module("dropout", (graph.call_module("out", (joined,)),)))
    return fx.GraphModule(layers, graph)
