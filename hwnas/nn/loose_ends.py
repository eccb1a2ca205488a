"""The nodes of a cell that no other node takes: its output."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from torch import fx, nn

from hwnas.errors import ArchitectureError, SpaceError
from hwnas.nn.argument import Slot
from hwnas.nn.choice_module import ChoiceModule
from hwnas.nn.mixture import ImagesView, Resolved
from hwnas.nn.slicing import shallow_copy
from hwnas.space import Option

__all__ = ["LooseEnds"]


class LooseEnds(ChoiceModule):
    """The sum of an end of its own for each node that no choice of an input names.

    It is called with one sequence of as many tensors as it has ends; end i gets tensor i. It has no choice of its own:
    it shares those of the cell's `InputChoice`s (with `n_chosen=1`) by their labels. With 1x1 convolutions as ends the
    sum is a 1x1 convolution of the concatenated loose ends; unlike in a `Cell` every end is traced once, under the
    options that leave its node loose, so that cells may be large.
    """

    def __init__(self, ends: Sequence[nn.Module], *, first: int, inputs: Mapping[str, int]) -> None:
        """See the class.

        Args:
            ends: each takes one tensor; their outputs have one shape.
            first: the position, among what the choices choose from, of the tensor of end 0.
            inputs: how many options each choice of an input has, by its label. None may name the last end, so that
                one is always loose.

        Raises:
            SpaceError: no ends, or choices that leave no end loose for sure.
        """
        super().__init__()
        for position, end in enumerate(ends):
            self.add_module(str(position), end)
        if not ends:
            raise SpaceError("LooseEnds needs at least one end; got none.")
        last = first + len(ends) - 1
        for label, number in inputs.items():
            if not 1 <= number <= last:
                raise SpaceError(
                    f"The choice {label!r} of LooseEnds must have 1 to {last} options, for the last end to be always "
                    f"loose; got {number}."
                )
        self._first = first
        self._slots = tuple(
            Slot(key=label, suffix="", label=label, options=tuple(range(number))) for label, number in inputs.items()
        )

    @property
    def ends(self) -> list[nn.Module]:
        """The ends, in the order of their positions."""
        return [end for end in self._modules.values() if end is not None]

    def slots(self) -> tuple[Slot, ...]:
        """The choices of inputs."""
        return self._slots

    def guards(self) -> dict[str, dict[str, tuple[Option, ...]]]:
        """An end runs where no choice names its node."""
        return {
            str(position): {
                slot.key: tuple(option for option in slot.options if option != self._first + position)
                for slot in self._slots
                if self._first + position in slot.options
            }
            for position in range(len(self.ends))
        }

    def select(self, options: Mapping[str, Option], view: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """The sum of the loose ends, as a graph of their views."""
        taken = set(options.values())
        loose = tuple(position for position in range(len(self.ends)) if self._first + position not in taken)
        children = {str(position): view(self.ends[position]) for position in loose}
        program = _sum_of_ends(loose)
        return shallow_copy(program, type(program), _modules=children, training=self.training)

    def mix(self, resolved: Resolved, view: ImagesView) -> NoReturn:
        """Refuses: paths through inputs have no loose ends."""
        raise ArchitectureError(
            f"Paths for {resolved.label} are not possible where loose ends are the output, which depends on which "
            "nodes are inputs. Select one option, or take all nodes as the output."
        )


@functools.lru_cache(maxsize=4096)
def _sum_of_ends(loose: tuple[int, ...]) -> fx.GraphModule:
    """The graph of the sum of some ends as plain PyTorch, from the last to the first, as it is traced.

    Making one takes a millisecond, so that each is made once; the ends are put in later.
    """
    graph = fx.Graph()
    inputs = graph.placeholder("inputs")
    total = None
    for position in reversed(loose):
        taken = graph.call_function(operator.getitem, (inputs, position))
        output = graph.call_module(str(position), (taken,))
        total = output if total is None else graph.call_function(operator.add, (total, output))
    graph.output(total)
    return fx.GraphModule(nn.ModuleDict({str(position): nn.Identity() for position in loose}), graph)
