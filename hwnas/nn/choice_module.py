"""What every module that carries choices is."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import NoReturn

from torch import nn

from hwnas.errors import SpaceError
from hwnas.nn.argument import Slot
from hwnas.nn.mixture import ImagesView, Mixture, Resolved
from hwnas.space import Option

__all__ = ["ChoiceModule"]


class ChoiceModule(nn.Module, abc.ABC):
    """A module that stands for several; `ModelSpace` replaces it by one of them whenever it runs.

    It holds all parameters and says what there is to choose; it never knows what was chosen, nor what its
    choices are called in the space: it knows them by the keys of its slots. `ModelSpace` asks

    - `slots` and `guards` once, when it derives the space;
    - `select` for every forward pass and every frozen network;
    - `mix` instead, where the selection has `Paths` for a choice of this module.

    To write one: derive, implement `slots` and `select`, and `guards` if not all child modules always run.
    """

    @abc.abstractmethod
    def slots(self) -> tuple[Slot, ...]:
        """The places for choices, always in the same order; empty if nothing varies."""

    @abc.abstractmethod
    def select(self, options: Mapping[str, Option], view: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """A plain PyTorch module for one option of every slot, sharing this module's parameters and buffers.

        It runs on every training step, so it must be quick: no weight is initialised, nothing is kept.

        Args:
            options: the chosen option by the key of its slot.
            view: to be called on every child module that is put into the result, since it may have choices.
        """

    def guards(self) -> dict[str, dict[str, tuple[Option, ...]]]:
        """For child modules (by name) that run only under some options: those options, by the key of the slot.

        Several slots are an AND. A child module that is not named always runs.
        """
        return {}

    def mix(self, resolved: Resolved, view: ImagesView) -> nn.Module:
        """A module that adds up what the options give, with the weights of the `Paths` in `resolved`."""
        return Mixture(self, resolved, view)

    def forward(self, *args: object, **kwargs: object) -> NoReturn:
        """Refuses: a module with choices runs only inside `ModelSpace.forward`."""
        raise SpaceError(
            f"A {type(self).__name__} was called outside ModelSpace.forward, or from where ModelSpace does not see it. "
            "Keep it as a child module (an attribute, or in nn.ModuleList or nn.ModuleDict, not in a plain list), "
            "call it by that attribute, and run the model through ModelSpace.forward or ModelSpace.view."
        )
