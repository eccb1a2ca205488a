"""A block several times over."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from hwnas.errors import SpaceError
from hwnas.nn.argument import Argument, Elastic, Slot
from hwnas.nn.choice_module import ChoiceModule
from hwnas.nn.mixture import ImagesView, Part, Resolved, images_of, is_unused, on_images, run_named, weighted_sum
from hwnas.space import Choice, MappedChoice, Option

__all__ = ["Repeat"]


class Repeat(ChoiceModule):
    """A chain of blocks, of which the first `depth` run; choices in a block matter only where it runs.

    A frozen network has an `nn.Sequential` in its place, with the blocks' names as here: "0", "1", ...
    """

    def __init__(
        self,
        block: nn.Module | Callable[[int], nn.Module] | Sequence[nn.Module],
        depth: Elastic[int] | tuple[int, int],
        *,
        label: str | None = None,
    ) -> None:
        """See the class.

        Args:
            block: a module, deep-copied for every position (choices in it that have no label are then each
                position's own); or a function from the position to a module; or the modules themselves. Each takes
                and gives one tensor.
            depth: a number; the least and the greatest one; a list; or a choice. 0 is allowed, and gives the input.
            label: the name of the choice; None for the module's path, or for that of the choice given as depth.

        Raises:
            SpaceError: a depth that is negative or beyond the blocks, a label beside a choice, a block that is no
                module.
        """
        super().__init__()
        if label is not None and isinstance(depth, Choice | MappedChoice):
            raise SpaceError(f"`label` must not be given beside a choice as depth, which has a name; got {label!r}.")
        if isinstance(depth, tuple):
            if len(depth) != 2 or depth[0] > depth[1]:
                raise SpaceError(f"`depth` as a tuple must be the least and the greatest depth; got {depth!r}.")
            depth = list(range(depth[0], depth[1] + 1))
        self._depth: Argument[int] = Argument("depth", depth, check=_is_depth, expected="an integer of at least 0")
        slot = self._depth.slot
        self._slots = (
            () if slot is None else (Slot(key="depth", suffix="", label=label or slot.label, options=slot.options),)
        )
        for position, made in enumerate(_blocks(block, max(self._depth.values))):
            if not isinstance(made, nn.Module):
                raise SpaceError(f"Block {position} of Repeat must be a torch.nn.Module; got {made!r}.")
            self.add_module(str(position), made)

    @property
    def blocks(self) -> list[nn.Module]:
        """The blocks, in order."""
        return [block for block in self._modules.values() if block is not None]

    def slots(self) -> tuple[Slot, ...]:
        """One slot, or none if the depth is fixed."""
        return self._slots

    def guards(self) -> dict[str, dict[str, tuple[Option, ...]]]:
        """A block runs under the depths beyond its position."""
        if not self._slots:
            return {}
        depths = dict(zip(self._slots[0].options, self._depth.values, strict=True))
        return {
            name: {"depth": tuple(option for option, depth in depths.items() if depth > int(name))}
            for name in self._modules
        }

    def select(self, options: Mapping[str, Option], view: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """The first blocks as an `nn.Sequential`."""
        chain = nn.Sequential(*(view(block) for block in self.blocks[: self.depth_of(options)]))
        chain.training = self.training
        return chain

    def depth_of(self, options: Mapping[str, Option]) -> int:
        """How many blocks run."""
        return self._depth.value(options)

    def mix(self, resolved: Resolved, view: ImagesView) -> nn.Module:
        """Runs the blocks once, to the deepest that is needed, and adds up what comes out at every depth."""
        return _DepthMixture(self, resolved, view)


class _DepthMixture(nn.Module):
    """The weighted sum of the outputs at several depths. It lives in a view, never in a frozen network."""

    def __init__(self, repeat: Repeat, resolved: Resolved, view: ImagesView) -> None:
        super().__init__()
        self.label = resolved.label
        self.batch = resolved.batch
        self.weights: dict[int, Tensor] = {}
        for options, weight in resolved.joint():
            if not is_unused(weight):
                depth = repeat.depth_of(options)
                self.weights[depth] = self.weights[depth] + weight if depth in self.weights else weight
        self.images: list[Tensor | None] = []
        blocks = []
        for position in range(max(self.weights, default=0)):
            images = self._images_beyond(position)
            self.images.append(images)
            blocks.append((view if images is None else view.on_images(images))(repeat.blocks[position]))
        self.blocks = nn.ModuleList(blocks)
        self.training = repeat.training

    def _images_beyond(self, depth: int) -> Tensor | None:
        """The images that run more than `depth` blocks; None for all."""
        deeper = [weight for own, weight in self.weights.items() if own > depth]
        if any(weight.requires_grad for weight in deeper):
            return None
        return images_of(sum(((weight != 0) for weight in deeper[1:]), start=deeper[0] != 0))

    def forward(self, x: Any) -> Any:
        """The weighted sum of the outputs at every depth that has a weight."""
        if self.batch is not None:
            on_images(self.label, x, None, self.batch)
        parts = []
        rows: Tensor | None = None  # the images that x is for
        for depth in range(len(self.blocks) + 1):
            if depth > 0:
                images = self.images[depth - 1]
                if self.batch is not None:
                    x = _of(x, images, rows, self.batch)
                    rows = images
                x = run_named(f"block {depth - 1} of {self.label}", self.blocks[depth - 1], x)
            if depth in self.weights:
                images = images_of(self.weights[depth])
                out = x if self.batch is None else _of(x, images, rows, self.batch)
                parts.append(Part(f"depth {depth}", out, self.weights[depth], images))
        return weighted_sum(self.label, parts, self.batch)


def _of(x: Any, images: Tensor | None, rows: Tensor | None, batch: int) -> Any:
    """What `x`, which is for the images `rows`, holds for some of them."""
    if images is None:
        return x
    if rows is None:
        return pytree.tree_map(lambda leaf: leaf[images], x)
    position = torch.empty(batch, dtype=torch.long, device=rows.device)
    position[rows] = torch.arange(len(rows), device=rows.device)
    return pytree.tree_map(lambda leaf: leaf[position[images]], x)


def _is_depth(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _blocks(block: nn.Module | Callable[[int], nn.Module] | Sequence[nn.Module], num: int) -> list[nn.Module]:
    """The blocks for `num` positions."""
    if isinstance(block, nn.Module) and not isinstance(block, nn.ModuleList):
        return [block, *(copy.deepcopy(block) for _ in range(num - 1))] if num else []
    if callable(block) and not isinstance(block, nn.ModuleList):
        return [block(position) for position in range(num)]
    blocks = list(block)
    if len(blocks) != num:
        raise SpaceError(f"Repeat needs as many blocks as its greatest depth, {num}; got {len(blocks)}.")
    return blocks
