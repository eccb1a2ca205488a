"""Replacing the modules with choices of a model by the user's own: for one-shot algorithms that hwnas does not have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from torch import nn

from hwnas.errors import SpaceError
from hwnas.nn.choice_module import ChoiceModule
from hwnas.nn.input_choice import InputChoice
from hwnas.nn.layer_choice import LayerChoice

__all__ = ["replace_input_choice", "replace_layer_choice"]

C = TypeVar("C", bound=ChoiceModule)


def replace_layer_choice(
    model: nn.Module, replace: Callable[[LayerChoice], nn.Module | None]
) -> list[tuple[str, nn.Module]]:
    """Replace every `LayerChoice` of a model, in place, by what a function makes of it.

    Where candidates have choices of their own, these come first: the function sees candidates with replaced modules.

    Args:
        model: any module, with choices below it.
        replace: from a module to the one in its place, which may contain it; None leaves it. It is called once for
            each module: one that stands at several places has the same replacement at all of them.

    Returns:
        Of every module that was replaced its label, or its path in the model, and its replacement. Modules of one
        label are all in it.

    Raises:
        SpaceError: the model is itself what is to be replaced; one label with two lists of candidates, before anything
            is replaced; a replacement that is no module.
    """
    return _replaced(model, LayerChoice, replace)


def replace_input_choice(
    model: nn.Module, replace: Callable[[InputChoice], nn.Module | None]
) -> list[tuple[str, nn.Module]]:
    """Replace every `InputChoice` of a model, as `replace_layer_choice` does with every `LayerChoice`.

    Raises:
        SpaceError: as `replace_layer_choice`.
    """
    return _replaced(model, InputChoice, replace)


def _replaced(model: nn.Module, kind: type[C], replace: Callable[[C], nn.Module | None]) -> list[tuple[str, nn.Module]]:
    if isinstance(model, kind):
        raise SpaceError(
            f"A {kind.__name__} can be replaced only within another module; got one as the model. Put it into "
            "nn.Sequential."
        )
    walk = _Walk(kind)
    walk.visit(model, "")
    walk.check_labels()
    result = []
    for module, places in walk.places.items():
        made = replace(module)
        if made is None:
            continue
        if not isinstance(made, nn.Module):
            raise SpaceError(
                f"The replacement of {kind.__name__} {walk.names[module]!r} must be a torch.nn.Module, or None to "
                f"leave it; got {made!r}."
            )
        for parent, name in places:
            parent._modules[name] = made
        result.append((walk.names[module], made))
    return result


class _Walk(Generic[C]):
    """The modules of one kind in a model, inner ones first.

    Attributes:
        names: their labels, or the first paths at which they stand.
        places: where they stand: parents, and their names there.
    """

    def __init__(self, kind: type[C]) -> None:
        self.kind = kind
        self.names: dict[C, str] = {}
        self.places: dict[C, list[tuple[nn.Module, str]]] = {}
        self._visited: set[nn.Module] = set()

    def visit(self, module: nn.Module, path: str) -> None:
        if module in self._visited:
            return
        self._visited.add(module)
        for name, child in module._modules.items():
            if child is None:
                continue
            inner = f"{path}.{name}" if path else name
            self.visit(child, inner)
            if isinstance(child, self.kind):
                if child not in self.names:
                    slot = child.slots()[0]
                    self.names[child] = slot.choice_name(inner).removesuffix(slot.suffix)
                self.places.setdefault(child, []).append((module, name))

    def check_labels(self) -> None:
        known: dict[str, str] = {}
        for module, name in self.names.items():
            candidates = ", ".join(str(list(slot.options)) for slot in module.slots())
            if known.setdefault(name, candidates) != candidates:
                raise SpaceError(
                    f"One label must have one list of candidates; {name!r} has {known[name]} and {candidates}. Use "
                    "another label."
                )
