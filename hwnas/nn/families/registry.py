"""Spaces and networks by name: ready families, published networks, and a user's own factory in a Python file."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from torch import nn

from hwnas.errors import HwnasError, SpaceError
from hwnas.nn.families.published import PublishedNetwork
from hwnas.nn.families.ready import FAMILIES, PUBLISHED_NETWORKS
from hwnas.nn.model_space import ModelSpace

__all__ = ["family", "find_published", "load_space", "published_network"]


def family(name: str, **options: object) -> ModelSpace:
    """Make a ready space.

    Args:
        name: a key of `FAMILIES`.
        options: arguments of the family's factory; what is not given keeps the family's default.

    Raises:
        SpaceError: an unknown name, an unknown option (the message lists the known ones), or a wrong value.
    """
    if name not in FAMILIES:
        raise SpaceError(
            f"unknown space {name!r}; known: {', '.join(FAMILIES)}, or 'file.py:factory' for a space of your own"
        )
    _check_options(name, options)
    return FAMILIES[name].factory(**options)


def published_network(name: str, **options: object) -> nn.Module:
    """Make a network that a paper published, with fresh weights.

    Args:
        name: `proxyless-mobile`, `spos`, `hardcorenas-a`, `darts-v2`, ...: `hwnas spaces` lists them.
        options: of the network's family, in the place of the published ones: `num_classes`, `resolution`, ...

    Raises:
        SpaceError: an unknown name or option (the message lists the known ones), or a wrong value.
        ArchitectureError: an option that makes another space, without the network in it.
    """
    found = find_published(name)
    if found is None:
        known = ", ".join(name for networks in PUBLISHED_NETWORKS.values() for name in networks)
        raise SpaceError(f"unknown published network {name!r}; known: {known}")
    space, network = found
    _check_options(space, options)
    return network.build(**options)


def find_published(name: str) -> tuple[str, PublishedNetwork] | None:
    """The family of a published network and the network; None where no published network has the name."""
    return next(((space, networks[name]) for space, networks in PUBLISHED_NETWORKS.items() if name in networks), None)


def load_space(reference: str, **options: object) -> ModelSpace:
    """Make the space that a command line or a configuration names.

    Args:
        reference: the name of a family; that of a published network, for the space of its widths; or
            `file.py:factory`. The factory returns a `ModelSpace`, or a module and its example inputs. The file is
            executed, with its own folder importable meanwhile.
        options: arguments of the family or the factory.

    Raises:
        SpaceError: an unknown name or option, a missing file or factory, a file or factory that raises, or one that
            returns something else.
    """
    path, separator, factory_name = reference.rpartition(":")
    if not separator and not reference.endswith(".py"):
        published = find_published(reference)
        if published is None:
            return family(reference, **options)
        _check_options(published[0], options)
        return published[1].space(**options)
    if not path or not factory_name:
        raise SpaceError(f"a space in a file is written 'file.py:factory'; got {reference!r}")
    factory = getattr(_execute(Path(path)), factory_name, None)
    if not callable(factory):
        raise SpaceError(f"{path} has no function {factory_name!r}; the part after the colon names the factory")
    try:
        inspect.signature(factory).bind(**options)
    except TypeError as error:
        raise SpaceError(f"{reference}: the factory cannot be called with {options!r}: {error}") from error
    with _errors_of(reference, Path(path)):
        made = factory(**options)
    if isinstance(made, ModelSpace):
        return made
    if isinstance(made, tuple) and len(made) == 2 and isinstance(made[0], nn.Module):
        return ModelSpace(made[0], made[1])
    raise SpaceError(
        f"{reference}: the factory must return a ModelSpace, or a module and its example inputs; "
        f"got {type(made).__name__}"
    )


def _check_options(name: str, options: Mapping[str, object]) -> None:
    """Refuse options that a family does not have, or of another kind than it has."""
    defaults = FAMILIES[name].options
    unknown = [option for option in options if option not in defaults]
    if unknown:
        raise SpaceError(
            f"unknown option {', '.join(map(repr, unknown))} of space {name!r}; known: {', '.join(defaults)}"
        )
    for option, value in options.items():
        if not _is_like(value, defaults[option]):
            raise SpaceError(
                f"option {option!r} of space {name!r} must be of the kind of its default, {defaults[option]!r}; "
                f"got {value!r}"
            )


@contextmanager
def _errors_of(source: str, path: Path) -> Iterator[None]:
    """Says of what goes wrong in a user's file that it did so there: on the last line in the file's folder."""
    try:
        yield
    except HwnasError:
        raise
    except SyntaxError as error:
        raise SpaceError(f"{error.filename}, line {error.lineno}: not valid Python: {error.msg}") from error
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if Path(frame.filename).parent == path.resolve().parent] or frames
        where = f"{own[-1].filename}, line {own[-1].lineno}"
        raise SpaceError(f"{source} raised {type(error).__name__}: {error} ({where}). Correct it there.") from error


def _is_like(value: object, default: object) -> bool:
    """Whether a value is of the default's kind; a list stands for a tuple, an integer for a float."""
    if isinstance(default, tuple):
        return isinstance(value, list | tuple) and all(_is_like(entry, default[0]) for entry in value)
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)


def _execute(path: Path) -> ModuleType:
    if not path.is_file():
        raise SpaceError(f"there is no file {str(path)!r} to take a space from")
    name = "hwnas_space_" + hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SpaceError(f"{str(path)!r} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look a class's module up here
    sys.path.insert(0, str(path.resolve().parent))
    try:
        with _errors_of(str(path), path):
            spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module
