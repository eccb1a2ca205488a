"""Which spaces a strategy can search that adds up what the options of a choice give."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from hwnas.errors import StrategyError
from hwnas.nn import ModelSpace, Paths, Selection

__all__ = ["SAMPLING_STRATEGIES", "require_mixable"]

SAMPLING_STRATEGIES = (
    "certified",
    "enas",
    "evolution",
    "grid",
    "local_search",
    "nsga2",
    "optuna",
    "policy_rl",
    "predictor_guided",
    "random",
    "spos",
    "tpe",
)
"""Those that run one option of a choice at a time, and so can search any space."""


def require_mixable(space: ModelSpace, strategy: str) -> None:
    """Refuse a space with a choice whose options cannot be added up.

    This is tried out, on the example inputs: what options give may differ in shape, be no floating-point tensors, or
    not fit what comes behind. Statistics and weights stay as they are.

    Args:
        space: to be searched.
        strategy: the name of the one that adds up, for the message.

    Raises:
        StrategyError: a choice that cannot be mixed; it says which, why, and which strategies can search the space.
    """
    with _evaluating(space), torch.no_grad():
        if _failure(space, len(space.space.choices)) is None:
            return
        # A choice runs if all before it are mixed, since its condition is on those; so the first failure names it.
        for num_mixed, choice in enumerate(space.space.choices, 1):
            error = _failure(space, num_mixed)
            if error is not None:
                raise StrategyError(
                    f"{strategy} mixes the options of every choice, and those of {choice.name!r} cannot be mixed: "
                    f"{str(error).rstrip('.')}. Give it one option, or search with one of "
                    f"{', '.join(SAMPLING_STRATEGIES)}."
                ) from error


def _failure(space: ModelSpace, num_mixed: int) -> Exception | None:
    """What goes wrong when the first choices are mixed evenly, the others having their first option."""
    device = _device(space)
    selection: Selection = {
        choice.name: Paths(torch.full((choice.num_options,), 1 / choice.num_options, device=device))
        if number < num_mixed
        else choice.options[0]
        for number, choice in enumerate(space.space.choices)
    }
    inputs = pytree.tree_map(lambda leaf: leaf.to(device) if isinstance(leaf, Tensor) else leaf, space.example_inputs)
    try:
        space(inputs, selection)
    except Exception as error:
        return error
    return None


def _device(space: ModelSpace) -> torch.device | None:
    """Where the weights are; None where there are none."""
    return next((tensor.device for tensor in space.state_dict().values()), None)


@contextmanager
def _evaluating(space: nn.Module) -> Iterator[None]:
    """Every module in evaluation mode, and afterwards as it was."""
    modes = [(module, module.training) for module in space.modules()]
    space.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
