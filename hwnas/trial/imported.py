"""A function of a user's by the text that names it, "module:function" or "file.py:function", and the text of one."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from hwnas.errors import ConfigError

__all__ = ["imported", "reference_text", "whole_path"]


def imported(reference: str) -> Callable[..., Any]:
    """The function that "module:function" or "file.py:function" names.

    A file is executed once a process, with its own folder importable, and never as `__main__`.

    Raises:
        ConfigError: not such a text, no such module, file or function, or no function.
        Exception: whatever importing raises.
    """
    where, _, name = reference.rpartition(":")
    if not where or not name:
        raise ConfigError(f"A function is written 'module:function' or 'file.py:function'; got {reference!r}.")
    found: Any = _executed(Path(where)) if where.endswith(".py") else _module(where)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise ConfigError(f"{where} has no function {name!r}; the part after the colon names the function.")
    return found  # type: ignore[no-any-return]  # any callable is one


def reference_text(function: Callable[..., Any]) -> str:
    """The text from which `imported` finds a function again in another process.

    Raises:
        ConfigError: a lambda, a function in a function, an object or its method, or one typed in at a prompt.
    """
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    is_of_object = not isinstance(getattr(function, "__self__", None), type | ModuleType | None)
    if module is None or name is None or "<" in name or is_of_object:
        what = name or repr(function)
        raise ConfigError(
            f"{what} cannot be found again in another process: lambdas, functions within functions, objects and their "
            "methods run in line only. Write it as a function of a module and give it, or its name 'module:function'; "
            "or use the executor 'inline'."
        )
    if module != "__main__":
        return f"{module}:{name}"
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None:  # begun with python -m: as a part of its package it may import relatively
        return f"{spec.name}:{name}"
    file = getattr(sys.modules["__main__"], "__file__", None)
    if file is None or not file.endswith(".py"):
        raise ConfigError(
            f"{name} was typed in at a prompt, where no other process finds it: it runs in line only. Put it into a "
            "file and give 'file.py:function' or 'module:function'; or use the executor 'inline'."
        )
    return f"{Path(file).resolve()}:{name}"


def whole_path(reference: str) -> str:
    """The same text with the whole path of its file, where it names one: a worker may run in another folder."""
    where, _, name = reference.rpartition(":")
    return f"{Path(where).resolve()}:{name}" if where.endswith(".py") else reference


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise  # found, but it imports something that is missing
        raise ConfigError(
            f"There is no module {name!r}. Check the name, or install it or add its folder to PYTHONPATH."
        ) from error


def _executed(path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise ConfigError(f"There is no file {str(path)!r}. Give the path of a Python file, as in 'file.py:function'.")
    name = "hwnas_file_" + hashlib.sha256(str(path).encode()).hexdigest()[:12]
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None  # its name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look a class's module up here
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    finally:
        sys.path.remove(str(path.parent))
    return module
