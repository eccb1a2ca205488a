"""From a module tree to its space: names, options and conditions of the choices in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from torch import nn

from hwnas.errors import SpaceError
from hwnas.nn.choice_module import ChoiceModule
from hwnas.nn.view import Structure
from hwnas.space import Choice, Option, Requirement, Space

__all__ = ["derive"]

Context = dict[str, tuple[Option, ...]]
"""Where a module runs: the options that other choices must have (an AND)."""


def derive(root: nn.Module) -> Structure:
    """The structure of a module with choices.

    A choice without a label is called by the first path at which its module stands. A choice is active when any of
    its places runs; a place runs when every module with choices around it has an option that leads to it.

    Raises:
        SpaceError: no choices, one label with two lists of options, conditions in a circle.
    """
    walk = _Walk()
    walk.visit(root, "", {})
    if not walk.options:
        raise SpaceError(
            f"{type(root).__name__} must have at least one choice, and has none. Put a LayerChoice, InputChoice, "
            "Repeat or an elastic layer into it, as an attribute or in nn.ModuleList (not in a plain list)."
        )
    choices = [
        Choice(name, options, condition=_condition(_simplified(walk.places[name], walk.options)))
        for name, options in walk.options.items()
    ]
    return Structure(space=Space.ordered(choices), names=walk.names, routes=walk.routes)


@dataclasses.dataclass
class _Walk:
    """What a walk over the module tree has found."""

    options: dict[str, tuple[Option, ...]] = dataclasses.field(default_factory=dict)
    places: dict[str, list[Context]] = dataclasses.field(default_factory=dict)
    names: dict[ChoiceModule, dict[str, str]] = dataclasses.field(default_factory=dict)
    routes: dict[nn.Module, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    plain: set[nn.Module] = dataclasses.field(default_factory=set)

    def visit(self, module: nn.Module, path: str, context: Context) -> bool:
        """Notes the choices of a module and of those below it; whether there is a module with choices."""
        if module in self.plain:
            return False
        if isinstance(module, ChoiceModule):
            self._note(module, path, context)
            for name, child in module._modules.items():
                inner = self._inner(module, name, context)
                if child is not None and inner is not None:
                    self.visit(child, _join(path, name), inner)
            return True
        route = tuple(
            name
            for name, child in module._modules.items()
            if child is not None and self.visit(child, _join(path, name), context)
        )
        if route:
            self.routes[module] = route
        else:
            self.plain.add(module)
        return bool(route)

    def _note(self, module: ChoiceModule, path: str, context: Context) -> None:
        if module not in self.names:
            self.names[module] = {slot.key: slot.choice_name(path) for slot in module.slots()}
        for slot in module.slots():
            name = self.names[module][slot.key]
            known = self.options.setdefault(name, slot.options)
            if [(type(option), option) for option in known] != [(type(option), option) for option in slot.options]:
                raise SpaceError(
                    f"One label must have one list of options; {name!r} has {list(known)!r} and, at "
                    f"{path or 'the outermost module'!r}, {list(slot.options)!r}. Use another label."
                )
            places = self.places.setdefault(name, [])
            if name not in context:  # under itself: it is active wherever it stands around this place
                places.append(context)

    def _inner(self, module: ChoiceModule, child: str, context: Context) -> Context | None:
        """Where a child module runs; None if it never does."""
        inner = dict(context)
        for key, options in module.guards().get(child, {}).items():
            name = self.names[module][key]
            allowed = inner.get(name, self.options[name])
            inner[name] = tuple(option for option in allowed if option in options)
            if not inner[name]:
                return None
            if len(inner[name]) == len(self.options[name]):
                del inner[name]
        return inner


def _simplified(places: list[Context], options: Mapping[str, tuple[Option, ...]]) -> list[Context]:
    """An equivalent OR: implied places left out, places that differ in one choice merged.

    A requirement that allows every option is left out: the places around it say that its choice is active.
    """
    places = list(places)
    changed = True
    while changed:
        changed = False
        for first, second in ((a, b) for a in places for b in places if a is not b):
            merged = _merged(first, second, options)
            if merged is not None:
                places = [place for place in places if place is not first and place is not second] + [merged]
                changed = True
                break
    return places


def _merged(first: Context, second: Context, options: Mapping[str, tuple[Option, ...]]) -> Context | None:
    """One place that is the OR of both, where there is one."""
    if all(name in second and set(second[name]) <= set(first[name]) for name in first):
        return first
    if first.keys() != second.keys():
        return None
    different = [name for name in first if first[name] != second[name]]
    if len(different) != 1:
        return None
    name = different[0]
    union = tuple(option for option in options[name] if option in first[name] or option in second[name])
    rest = {other: first[other] for other in first if other != name}
    return rest if len(union) == len(options[name]) else {**rest, name: union}


def _condition(places: list[Context]) -> tuple[tuple[Requirement, ...], ...]:
    if not all(places):
        return ()
    return tuple(tuple(Requirement(name, allowed) for name, allowed in place.items()) for place in places)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
