"""Views: shallow copies of a module tree in which modules with choices are replaced.

Only the modules on the way to a choice are copied, and of those only the dictionary of child modules is their own;
parameters, buffers, hooks and everything else are shared with the supernet. Hence no state is left in a module
that has run, and two views never meet. Do not register hooks or parameters on a view: they would be the supernet's.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping

from torch import Tensor, nn

from hwnas.errors import ArchitectureError
from hwnas.nn.choice_module import ChoiceModule
from hwnas.nn.mixture import Resolved
from hwnas.nn.paths import Paths
from hwnas.nn.slicing import shallow_copy
from hwnas.space import Choice, Option, Space

__all__ = ["Selection", "SelectionView", "Structure", "View"]

Selection = Mapping[str, Option | Paths]
"""What runs for every choice: an option or weighted paths. An `Architecture` is one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Structure:
    """Where the choices of a module are.

    Attributes:
        space: the choices.
        names: of every module with choices, the choice's name by the key of its slot.
        routes: of every other module that has such modules below it, the child modules (by name) that lead there.
    """

    space: Space
    names: Mapping[ChoiceModule, Mapping[str, str]]
    routes: Mapping[nn.Module, tuple[str, ...]]


class View(abc.ABC):
    """Maps a module of the supernet to its view; a module that occurs twice has one view."""

    def __init__(self, structure: Structure) -> None:
        self.structure = structure
        self._memo: dict[nn.Module, nn.Module] = {}

    @abc.abstractmethod
    def replace(self, module: ChoiceModule) -> nn.Module:
        """What stands in the view for a module with choices."""

    def __call__(self, module: nn.Module) -> nn.Module:
        """The view of one module: itself if it has no choices."""
        if module in self._memo:
            return self._memo[module]
        if isinstance(module, ChoiceModule):
            result = self.replace(module)
        elif module in self.structure.routes:
            children = dict(module._modules)
            result = shallow_copy(module, type(module), _modules=children)
            for name in self.structure.routes[module]:
                child = children[name]
                assert child is not None
                children[name] = self(child)
        else:
            return module
        self._memo[module] = result
        return result


class SelectionView(View):
    """The view in which every module with choices is replaced by what a selection says."""

    def __init__(self, structure: Structure, selection: Selection, images: Tensor | None = None) -> None:
        """See the class.

        Args:
            structure: of the supernet.
            selection: what runs.
            images: the positions in the batch of the images that the view is for, shape (num_images,); None for all.
        """
        super().__init__(structure)
        self.selection = selection
        self.images = images

    def replace(self, module: ChoiceModule) -> nn.Module:
        """The selected candidate, slice or weighted sum.

        Raises:
            ArchitectureError: the selection says nothing, or nothing possible, about a choice of the module.
        """
        names = self.structure.names[module]
        options: dict[str, Option] = {}
        paths: dict[str, Paths] = {}
        for key, name in names.items():
            choice = self.structure.space.choice(name)
            if name not in self.selection:
                raise ArchitectureError(
                    f"The selection says nothing about choice {name!r}, which is needed; it allows "
                    f"{', '.join(map(repr, choice.options))}."
                )
            selected = self.selection[name]
            if isinstance(selected, Paths):
                paths[name] = self._paths(selected, choice)
            else:
                options[key] = choice.options[choice.index(selected)]
        if not paths:
            return module.select(options, self)
        choices = {key: self.structure.space.choice(name) for key, name in names.items()}
        return module.mix(Resolved(choices=choices, options=options, paths=paths), self)

    def on_images(self, images: Tensor) -> SelectionView:
        """The view for some images: their rows of all paths that are given per image.

        Args:
            images: their positions among the images of this view, shape (num_images,).
        """
        return SelectionView(self.structure, self.selection, images if self.images is None else self.images[images])

    def _paths(self, paths: Paths, choice: Choice) -> Paths:
        """The paths of this view's images."""
        if paths.weights.shape[-1] != choice.num_options:
            raise ArchitectureError(
                f"Paths for choice {choice.name!r} must have a weight for each of its {choice.num_options} options in "
                f"the last dimension; got weights of shape {tuple(paths.weights.shape)}."
            )
        if self.images is None or paths.weights.dim() == 1:
            return paths
        return dataclasses.replace(paths, weights=paths.weights[self.images])
