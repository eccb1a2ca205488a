"""Some of several inputs, and what becomes of them."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal, get_args

import torch
from torch import Tensor, fx, nn

from hwnas.errors import SpaceError
from hwnas.nn.argument import Slot
from hwnas.nn.choice_module import ChoiceModule
from hwnas.nn.mixture import ImagesView, Mixture, Resolved
from hwnas.nn.slicing import shallow_copy
from hwnas.space import Option

__all__ = ["InputChoice", "Reduction"]

Reduction = Literal["sum", "mean", "concat", "none"]


class InputChoice(ChoiceModule):
    """Chooses among the tensors that it is called with, and reduces those chosen to one.

    It is called with one sequence of `n_candidates` tensors. With `n_chosen=1` its options are 0 ... n-1; with
    `n_chosen=k` the tuples of k positions; with `n_chosen=None` any subset, as a yes or no for each candidate:
    choices `<name>/0`, `<name>/1`, ... with the options False and True. The empty subset is zeros like the
    first candidate, so it needs the reduction sum or mean.
    """

    def __init__(
        self,
        n_candidates: int,
        *,
        n_chosen: int | None = 1,
        reduction: Reduction = "sum",
        label: str | None = None,
    ) -> None:
        """See the class.

        Args:
            n_candidates: how many tensors there are to choose from.
            n_chosen: how many are chosen; None for any subset.
            reduction: sum, mean, concat (along dimension 1), or none: a list of the chosen tensors, in their order
                (for `n_chosen=1` the tensor itself).
            label: the name of the choice; None for the module's path.

        Raises:
            SpaceError: numbers or a reduction that are not possible.
        """
        super().__init__()
        if n_candidates < 1:
            raise SpaceError(f"`n_candidates` must be at least 1; got {n_candidates}.")
        if n_chosen is not None and not 1 <= n_chosen <= n_candidates:
            raise SpaceError(f"`n_chosen` must be None or from 1 to `n_candidates` ({n_candidates}); got {n_chosen}.")
        if reduction not in get_args(Reduction):
            raise SpaceError(f"`reduction` must be one of {', '.join(get_args(Reduction))}; got {reduction!r}.")
        if n_chosen is None and reduction not in ("sum", "mean"):
            raise SpaceError(
                f"`n_chosen=None` allows the empty subset, which {reduction!r} cannot reduce; use the reduction sum or "
                "mean, or give `n_chosen`."
            )
        self.n_candidates = n_candidates
        self.n_chosen = n_chosen
        self.reduction: Reduction = reduction
        self._slots = self._make_slots(label)

    def _make_slots(self, label: str | None) -> tuple[Slot, ...]:
        if self.n_chosen is None:
            return tuple(
                Slot(
                    key=str(position),
                    suffix=f"/{position}",
                    label=None if label is None else f"{label}/{position}",
                    options=(False, True),
                )
                for position in range(self.n_candidates)
            )
        options: tuple[Option, ...] = tuple(range(self.n_candidates))
        if self.n_chosen > 1:
            options = tuple(itertools.combinations(range(self.n_candidates), self.n_chosen))
        return (Slot(key="", suffix="", label=label, options=options),)

    def slots(self) -> tuple[Slot, ...]:
        """One slot, or one for every candidate if any subset may be chosen."""
        return self._slots

    def select(self, options: Mapping[str, Option], view: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """A module that takes the chosen tensors and reduces them."""
        if self.n_chosen is None:
            chosen = tuple(position for position in range(self.n_candidates) if options[str(position)])
        else:
            option = options[""]
            chosen = option if isinstance(option, tuple) else (int(option),)
        program = reducer(chosen, "sum" if self.n_chosen == 1 else self.reduction)
        return shallow_copy(program, type(program), training=self.training)

    def mix(self, resolved: Resolved, view: ImagesView) -> nn.Module:
        """As for any module; a sum of any subset is linear, so that it needs a term for each candidate only."""
        if self.n_chosen is None and self.reduction == "sum":
            return Mixture(self, resolved, view, terms=self._single_terms(resolved))
        return super().mix(resolved, view)

    def _single_terms(self, resolved: Resolved) -> Iterator[tuple[dict[str, Option], Tensor]]:
        """The empty subset, and each candidate alone with the weight of all subsets that have it."""
        weights: dict[str, tuple[Tensor | float, Tensor | float]] = {}
        for key, choice in resolved.choices.items():
            if choice.name in resolved.paths:
                paths = resolved.paths[choice.name]
                no, yes = (paths.weights[..., code] if code in paths.codes else 0.0 for code in (0, 1))
                weights[key] = (no, yes)
            else:
                weights[key] = (0.0, 1.0) if resolved.options[key] else (1.0, 0.0)
        none: dict[str, Option] = dict.fromkeys(weights, False)
        if all(isinstance(no, Tensor) or no for no, _ in weights.values()):
            yield none, _product(no for no, _ in weights.values())
        for key, (_, yes) in weights.items():
            if isinstance(yes, Tensor) or yes:
                others = (no + with_it for other, (no, with_it) in weights.items() if other != key)
                yield {**none, key: True}, _product([yes, *others])


def _product(factors: Iterable[Tensor | float]) -> Tensor:
    """The product of numbers of which at least one is a tensor."""
    product = functools.reduce(operator.mul, factors)
    assert isinstance(product, Tensor)
    return product


@functools.lru_cache(maxsize=4096)
def reducer(chosen: tuple[int, ...], reduction: Reduction) -> fx.GraphModule:
    """A module without state, of plain PyTorch: the reduction of the chosen of a sequence of tensors.

    Making one takes half a millisecond, so that each is made once.
    """
    graph = fx.Graph()
    inputs = graph.placeholder("inputs")
    tensors = [graph.call_function(operator.getitem, (inputs, position)) for position in chosen]
    if not tensors:
        first = graph.call_function(operator.getitem, (inputs, 0))
        graph.output(graph.call_function(torch.zeros_like, (first,)))
    elif reduction == "none":
        graph.output(tensors)
    elif reduction == "concat":
        graph.output(graph.call_function(torch.cat, (tensors, 1)))
    else:
        total = functools.reduce(lambda left, right: graph.call_function(operator.add, (left, right)), tensors)
        if reduction == "mean" and len(tensors) > 1:
            total = graph.call_function(operator.truediv, (total, len(tensors)))
        graph.output(total)
    return fx.GraphModule(nn.Module(), graph)
