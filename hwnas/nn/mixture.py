"""The weighted sum of what several options give."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from hwnas.errors import ArchitectureError
from hwnas.nn.paths import Paths
from hwnas.space import Choice, Option

__all__ = ["HasOptions", "ImagesView", "Mixture", "Part", "Resolved", "images_of", "on_images", "weighted_sum"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resolved:
    """The part of a selection that is about one module.

    Attributes:
        choices: the choice in each slot, by the slot's key.
        options: the option of the slots that have one, by the slot's key.
        paths: the paths of the other slots, by the choice's name.
    """

    choices: Mapping[str, Choice]
    options: Mapping[str, Option]
    paths: Mapping[str, Paths]

    def joint(self) -> Iterator[tuple[dict[str, Option], Tensor]]:
        """Every joint option of the slots that may run, with its weight: shape () or (batch,).

        A choice that has two slots of the module counts once.
        """
        names = list(self.paths)
        for codes in itertools.product(*(self.paths[name].codes for name in names)):
            code = dict(zip(names, codes, strict=True))
            weights = [self.paths[name].weights[..., code[name]] for name in names]
            weight = weights[0]
            for other in weights[1:]:
                weight = weight * other
            options = {
                key: self.options[key] if key in self.options else choice.options[code[choice.name]]
                for key, choice in self.choices.items()
            }
            yield options, weight

    @property
    def batch(self) -> int | None:
        """The number of images, if any paths are given per image.

        Raises:
            ArchitectureError: paths for different numbers of images.
        """
        sizes = {paths.weights.shape[0] for paths in self.paths.values() if paths.weights.dim() == 2}
        if len(sizes) > 1:
            raise ArchitectureError(f"Paths for {self.label} must be for one number of images; got {sorted(sizes)}.")
        return sizes.pop() if sizes else None

    @property
    def label(self) -> str:
        """The mixed choices, for messages."""
        return ("choice " if len(self.paths) == 1 else "choices ") + ", ".join(map(repr, self.paths))


def images_of(weight: Tensor) -> Tensor | None:
    """The positions of the images that run under a weight: shape (n,); None where all do."""
    if weight.requires_grad or weight.dim() == 0:
        return None
    images = weight.nonzero().flatten()
    return None if len(images) == len(weight) else images


def is_unused(weight: Tensor) -> bool:
    """Whether no image runs under a weight, and no gradient is asked for."""
    return not weight.requires_grad and not bool(weight.any())


class Part:
    """One summand: an output, its weight, and the images that it is for."""

    def __init__(self, name: str, output: Any, weight: Tensor, images: Tensor | None) -> None:
        """See the class.

        Args:
            name: what gave the output, for messages.
            output: a tensor or a nest of them, for the `images` only.
            weight: shape () or (batch,).
            images: positions in the batch, shape (n,); None for all.
        """
        self.name = name
        self.leaves, self.nest = pytree.tree_flatten(output)
        self.weight = weight
        self.images = images

    def add_to(self, total: Tensor | None, leaf: Tensor, batch: int | None) -> Tensor:
        """`total` plus the weighted `leaf`."""
        weight = self.weight if self.images is None else self.weight[self.images]
        weighted = leaf * weight.to(leaf.dtype).reshape(-1, *[1] * (leaf.dim() - 1)) if weight.dim() else leaf * weight
        weighted = weighted.to(leaf.dtype)
        if self.images is None:
            return weighted if total is None else total + weighted
        assert batch is not None
        start = leaf.new_zeros((batch, *leaf.shape[1:])) if total is None else total
        return start.index_add(0, self.images, weighted)

    def signature(self, batch: int | None) -> list[tuple[object, ...]]:
        """What must agree between summands: the shape, without the images if there are rows for them."""
        shapes = []
        for leaf in self.leaves:
            shape = tuple(leaf.shape) if isinstance(leaf, Tensor) else (repr(type(leaf)),)
            shapes.append(shape if batch is None else ("images", *shape[1:]))
        return shapes


def weighted_sum(label: str, parts: list[Part], batch: int | None) -> Any:
    """The sum of the parts, leaf by leaf.

    Raises:
        ArchitectureError: outputs that cannot be added, or nothing to add.
    """
    if not parts:
        raise ArchitectureError(f"Paths for {label} must have a weight other than 0; got none.")
    first = parts[0]
    for part in parts:
        if not all(
            isinstance(leaf, Tensor) and (leaf.is_floating_point() or leaf.is_complex()) for leaf in part.leaves
        ):
            raise ArchitectureError(
                f"Paths for {label} need outputs that are floating-point tensors; {part.name} gives something else. "
                "Select one option."
            )
        if part.nest != first.nest or part.signature(batch) != first.signature(batch):
            raise ArchitectureError(
                f"Paths for {label} need outputs of one shape, to add them up; {first.name} gives "
                f"{first.signature(batch)} and {part.name} gives {part.signature(batch)}. Select one option."
            )
    totals: list[Tensor | None] = [None] * len(first.leaves)
    for part in parts:
        totals = [part.add_to(total, leaf, batch) for total, leaf in zip(totals, part.leaves, strict=True)]
    return pytree.tree_unflatten(totals, first.nest)


def on_images(label: str, inputs: Any, images: Tensor | None, batch: int) -> Any:
    """The inputs of some images of a batch.

    Raises:
        ArchitectureError: a tensor that does not have the images first.
    """

    def take(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if value.dim() == 0 or value.shape[0] != batch:
            raise ArchitectureError(
                f"Paths for {label} have weights for {batch} images, so every tensor passed to its module must have "
                f"{batch} images first; got one of shape {tuple(value.shape)}."
            )
        return value if images is None else value[images]

    return pytree.tree_map(take, inputs)


def run_named(name: str, module: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls a module; an error is annotated with what was running."""
    try:
        return module(*args, **kwargs)
    except Exception as error:
        error.add_note(f"While running {name} for Paths: its inputs may not fit the other options selected.")
        raise


class ImagesView(Protocol):
    """A view of modules (`SelectionView`), from which that for some of its images is made."""

    def __call__(self, module: nn.Module) -> nn.Module:
        """The view of one module."""

    def on_images(self, images: Tensor) -> ImagesView:
        """The view for the images at these positions, shape (num_images,)."""


class HasOptions(Protocol):
    """What a mixture is of, a `ChoiceModule`."""

    training: bool

    def select(self, options: Mapping[str, Option], view: Callable[[nn.Module], nn.Module]) -> nn.Module:
        """A plain module for one option of every slot."""


class Mixture(nn.Module):
    """The weighted sum over a module's joint options. It lives in a view, never in a frozen network."""

    def __init__(
        self,
        module: HasOptions,
        resolved: Resolved,
        view: ImagesView,
        *,
        terms: Iterable[tuple[Mapping[str, Option], Tensor]] | None = None,
    ) -> None:
        """See the class.

        Args:
            module: whose options are added up.
            resolved: what the selection says about it.
            view: of its child modules.
            terms: the options to add up, with their weights; None for all joint options.
        """
        super().__init__()
        self.label = resolved.label
        self.batch = resolved.batch
        self.parts: list[tuple[str, Tensor, Tensor | None]] = []
        candidates = []
        for options, weight in resolved.joint() if terms is None else terms:
            if is_unused(weight):
                continue
            chosen = {
                choice.name: options[key] for key, choice in resolved.choices.items() if choice.name in resolved.paths
            }
            images = images_of(weight)
            name = "option " + ", ".join(f"{option!r} of choice {choice!r}" for choice, option in chosen.items())
            self.parts.append((name, weight, images))
            candidates.append(module.select(options, view if images is None else view.on_images(images)))
        self.candidates = nn.ModuleList(candidates)
        self.training = module.training

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The weighted sum of what the candidates give for these inputs."""
        parts = []
        for (name, weight, images), candidate in zip(self.parts, self.candidates, strict=True):
            inputs: Any = (args, kwargs)
            if self.batch is not None:
                inputs = on_images(self.label, inputs, images, self.batch)
            output = run_named(name, candidate, *inputs[0], **inputs[1])
            parts.append(Part(name, output, weight, images))
        return weighted_sum(self.label, parts, self.batch)
