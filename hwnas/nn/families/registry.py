"""Spaces by name: the ready families, and a user's own factory in a Python file."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType, ModuleType

from torch import nn

from hwnas.errors import HwnasError, SpaceError
from hwnas.nn.families.darts import darts
from hwnas.nn.families.fbnet22 import fbnet22
from hwnas.nn.families.mobilenet_v3 import mobilenet_v3
from hwnas.nn.families.nasbench201 import nasbench201
from hwnas.nn.families.proxylessnas import proxylessnas
from hwnas.nn.families.shufflenet_v2 import shufflenet_v2
from hwnas.nn.model_space import ModelSpace

__all__ = ["FAMILIES", "Family", "family", "load_space"]


@dataclass(frozen=True, kw_only=True)
class Family:
    """A ready space.

    Attributes:
        description: one line for a list.
        factory: makes the space; every argument is an option, by keyword and with a default.
    """

    description: str
    factory: Callable[..., ModelSpace]

    @property
    def options(self) -> dict[str, object]:
        """The options by name, with their defaults."""
        return {name: parameter.default for name, parameter in inspect.signature(self.factory).parameters.items()}


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "mobilenet_v3": Family(
            description="HardCoRe-NAS's space around MobileNetV3: 224x224 colour images, 1000 classes, 5.9e21 networks",
            factory=mobilenet_v3,
        ),
        "mobilenet_v3_28": Family(
            description="its small member for 28x28 grey images, such as Fashion-MNIST",
            factory=partial(
                mobilenet_v3,
                resolution=28,
                in_channels=1,
                num_classes=10,
                widths=(16, 32, 64),
                strides=(2, 2, 1),
                depths=(1, 2, 3),
                expansions=(2.0, 4.0, 6.0),
                activations=("re", "hs", "hs"),
                stem_channels=8,
                first_channels=8,
                last_channels=160,
                head_channels=200,
            ),
        ),
        "mobilenet_v3_8": Family(
            description="its tiny member for 8x8 grey images: scikit-learn's digits",
            factory=partial(
                mobilenet_v3,
                resolution=8,
                in_channels=1,
                num_classes=10,
                widths=(16, 24),
                strides=(2, 1),
                depths=(1, 2, 3),
                expansions=(2.0, 3.0, 4.0),
                activations=("re", "hs"),
                stem_channels=8,
                stem_stride=1,
                first_channels=8,
                last_channels=64,
                head_channels=64,
            ),
        ),
        "proxylessnas": Family(
            description="ProxylessNAS's space: 224x224 colour images, 1000 classes, 2.2e17 networks",
            factory=proxylessnas,
        ),
        "proxylessnas_28": Family(
            description="its small member for 28x28 grey images, such as Fashion-MNIST",
            factory=partial(
                proxylessnas,
                resolution=28,
                in_channels=1,
                num_classes=10,
                widths=(16, 32, 64),
                strides=(2, 2, 1),
                depths=(3, 3, 3),
                stem_channels=8,
                first_channels=8,
                head_channels=160,
            ),
        ),
        "proxylessnas_8": Family(
            description="its tiny member for 8x8 grey images: scikit-learn's digits",
            factory=partial(
                proxylessnas,
                resolution=8,
                in_channels=1,
                num_classes=10,
                widths=(16, 24),
                strides=(2, 1),
                depths=(2, 2),
                kernels=(3, 5),
                stem_channels=8,
                stem_stride=1,
                first_channels=8,
                head_channels=64,
            ),
        ),
        "fbnet22": Family(
            description="FBNet's space of 22 layers: 224x224 colour images, 1000 classes, 9.8e20 networks",
            factory=fbnet22,
        ),
        "fbnet22_28": Family(
            description="its small member for 28x28 grey images, such as Fashion-MNIST",
            factory=partial(
                fbnet22,
                resolution=28,
                in_channels=1,
                num_classes=10,
                widths=(8, 16, 32, 64),
                strides=(1, 2, 2, 1),
                depths=(1, 3, 3, 1),
                stem_channels=8,
                head_channels=160,
            ),
        ),
        "fbnet22_8": Family(
            description="its tiny member for 8x8 grey images: scikit-learn's digits",
            factory=partial(
                fbnet22,
                resolution=8,
                in_channels=1,
                num_classes=10,
                widths=(16, 24),
                strides=(2, 1),
                depths=(2, 2),
                stem_channels=8,
                stem_stride=1,
                head_channels=64,
            ),
        ),
        "shufflenet_v2": Family(
            description="SPOS's space around ShuffleNetV2: 224x224 colour images, 1000 classes, 1.1e12 networks",
            factory=shufflenet_v2,
        ),
        "shufflenet_v2_28": Family(
            description="its small member for 28x28 grey images, such as Fashion-MNIST",
            factory=partial(
                shufflenet_v2,
                resolution=28,
                in_channels=1,
                num_classes=10,
                widths=(32, 64, 128),
                depths=(2, 3, 2),
                stem_stride=1,
                last_channels=160,
            ),
        ),
        "shufflenet_v2_8": Family(
            description="its tiny member for 8x8 grey images: scikit-learn's digits",
            factory=partial(
                shufflenet_v2,
                resolution=8,
                in_channels=1,
                num_classes=10,
                widths=(16, 32),
                depths=(2, 2),
                stem_channels=8,
                stem_stride=1,
                last_channels=64,
            ),
        ),
        "nasbench201": Family(
            description="NAS-Bench-201, one cell throughout: 32x32 colour images, 10 classes, 15,625 networks",
            factory=nasbench201,
        ),
        "nasbench201_28": Family(
            description="its small member for 28x28 grey images, such as Fashion-MNIST",
            factory=partial(nasbench201, resolution=28, in_channels=1, widths=(8, 16, 32), num_cells=1),
        ),
        "nasbench201_8": Family(
            description="its tiny member for 8x8 grey images: scikit-learn's digits",
            factory=partial(nasbench201, resolution=8, in_channels=1, widths=(8, 16), num_cells=1),
        ),
        "darts": Family(
            description="DARTS's space of cells, as it is searched: 32x32 colour images, 10 classes, 1.1e18 networks",
            factory=darts,
        ),
        "darts_28": Family(
            description="its small member for 28x28 grey images, such as Fashion-MNIST",
            factory=partial(darts, resolution=28, in_channels=1, channels=8, num_cells=3, num_nodes=2),
        ),
        "darts_8": Family(
            description="its tiny member for 8x8 grey images: scikit-learn's digits",
            factory=partial(darts, resolution=8, in_channels=1, channels=4, num_cells=3, num_nodes=2),
        ),
    }
)
"""The ready spaces by name."""


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
    return FAMILIES[name].factory(**options)


def load_space(reference: str, **options: object) -> ModelSpace:
    """Make the space that a command line or a configuration names.

    Args:
        reference: the name of a family, or `file.py:factory`. The factory returns a `ModelSpace`, or a module and its
            example inputs. The file is executed, with its own folder importable meanwhile.
        options: arguments of the family or the factory.

    Raises:
        SpaceError: an unknown name or option, a missing file or factory, a file or factory that raises, or one that
            returns something else.
    """
    path, separator, factory_name = reference.rpartition(":")
    if not separator and not reference.endswith(".py"):
        return family(reference, **options)
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
