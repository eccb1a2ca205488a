"""Weights that others trained: read from their files without running code from them, and laid into a module by name.

A file holds tensors by name (`.safetensors`), or is a pickle of PyTorch's with such a mapping in it somewhere (`.pth`,
`.pt`, `.pth.tar`, `.bin`), which is read with `weights_only=True`. Where names differ from those here, a function says
what each is called; for published files it is known (`PUBLISHED_NAMES`) and found by itself.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import re
import urllib.parse
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from hwnas.errors import CheckpointError
from hwnas.nn.families import PUBLISHED_NAMES
from hwnas.train.checkpoint import FORMAT
from hwnas.train.resemblance import resemblance

__all__ = ["load_weights", "read_weights", "weights_fit"]

_ENTRIES = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model", "network", "net")
"""Where training programs keep weights; averaged ones first, as they are the ones to use."""
_WRAPPERS = ("module.", "_orig_mod.")
"""What `DataParallel`, our own `ModelSpace` and `torch.compile` put before every name."""
_HARMLESS = (argparse.Namespace,)
"""The options of a training program, which timm and others store beside the weights; reading it runs no code."""
_NUM_SHOWN = 10


def read_weights(source: str | Path, *, allow_url: bool = False) -> dict[str, Tensor]:
    """Read the weights in a file, on the CPU.

    Args:
        source: a path, `.safetensors` or a file of `torch.save`; or an http(s) address, whose file is kept in the cache
            of `torch.hub` (`$TORCH_HOME/hub/checkpoints`) and downloaded once.
        allow_url: whether an address may be fetched.

    Returns:
        Tensors by name; without the `module.` or `_orig_mod.` that wrappers put before all names, and out of the entry
        (`state_dict_ema`, `state_dict`, `model`, ...) in which training programs keep them; averaged weights, where the
        file has them as well.

    Raises:
        CheckpointError: no such file, a damaged one, one that only runs code to be read, one without weights; an
            address without `allow_url`, or one that cannot be fetched.
    """
    path = Path(source) if isinstance(source, Path) or not _is_url(source) else _fetched(source, allow_url)
    if not path.is_file():
        known = "a folder" if path.is_dir() else "missing"
        raise CheckpointError(f"The file of weights {path} is {known}. Give a .safetensors file or one of torch.save.")
    content = _tensors(path) if path.suffix == ".safetensors" else _unpickled(path)
    return _without_wrappers(_weights_in(content, path))


def load_weights(
    module: nn.Module, weights: Mapping[str, Tensor], *, rename: Callable[[str], str | None] | None = None
) -> None:
    """Copy weights into a module: a network, or a `ModelSpace`, whose supernet they must be.

    Every parameter and buffer must be there, and nothing else. Only `num_batches_tracked` of batch norms may be
    missing, as it is from files older than PyTorch 0.4.1, and stays as it is.

    Args:
        module: changed in place, and only if everything fits.
        weights: as `read_weights` gives them, or any state dict.
        rename: from a name in `weights` to that in the module, None for what is not to be loaded. If not given, names
            are what they are, or those of the first of `PUBLISHED_NAMES` under which all fit.

    Raises:
        CheckpointError: names that are unknown, missing or of another shape: all are counted, the first ten of each
            listed, and where many differ the message says which known network they would fit.
    """
    own = _without_wrappers(module.state_dict())
    attempts = _attempts(weights, rename)
    named = next((attempt for attempt in attempts if not _differences(own, attempt)), None)
    if named is None:
        raise CheckpointError(_explained(own, attempts[0]))
    with torch.no_grad():
        for name, tensor in named.items():
            own[name].copy_(tensor)


def weights_fit(module: nn.Module, weights: Mapping[str, Tensor]) -> bool:
    """Whether `load_weights` can load the weights into the module, without `rename`."""
    own = _without_wrappers(module.state_dict())
    return any(not _differences(own, attempt) for attempt in _attempts(weights, None))


def _attempts(weights: Mapping[str, Tensor], rename: Callable[[str], str | None] | None) -> list[dict[str, Tensor]]:
    """The weights by the names they may have here."""
    given = _without_wrappers(weights)
    renames = [rename] if rename is not None else [lambda name: name, *PUBLISHED_NAMES.values()]
    return [_renamed(given, each) for each in renames]


def _renamed(weights: Mapping[str, Tensor], rename: Callable[[str], str | None]) -> dict[str, Tensor]:
    named: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        new = rename(name)
        if new in named:
            raise CheckpointError(f"`rename` must give every weight a name of its own; two are called {new!r}.")
        if new is not None:
            named[new] = tensor
    return _without_wrappers(named)


def _differences(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """What does not fit, by its kind; empty where all fits."""
    found = {
        "missing": [n for n in own if n not in given and not n.endswith("num_batches_tracked")],
        "unknown": [name for name in given if name not in own],
        "of another shape": [
            f"{name} {tuple(tensor.shape)}, not {tuple(own[name].shape)}"
            for name, tensor in given.items()
            if name in own and tensor.shape != own[name].shape
        ],
    }
    return {kind: names for kind, names in found.items() if names}


def _explained(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    differences = _differences(own, given)
    listed = "; ".join(
        f"{len(names)} {kind}: {', '.join(names[:_NUM_SHOWN])}{' and others' * (len(names) > _NUM_SHOWN)}"
        for kind, names in differences.items()
    )
    num_differing = sum(map(len, differences.values()))
    if num_differing <= min(_NUM_SHOWN, max(len(own), len(given)) // 2):
        other, remedy = "other options", "Build the network with the options it was trained with"
    else:
        other, remedy = resemblance(given) or "another network", "Give the weights of this network"
    return (
        f"The weights seem to be of {other}: of {len(own)} tensors here and {len(given)} there, {listed}. {remedy}, or "
        "`rename` where only names differ."
    )


def _without_wrappers(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors by their names without what a wrapper has put before all of them."""
    for prefix in _WRAPPERS:
        while weights and all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    return dict(weights)


def _weights_in(content: object, path: Path) -> dict[str, Tensor]:
    """The tensors by name, from wherever in the file's content they are."""
    if isinstance(content, Mapping):
        entries = [
            name
            for name, value in content.items()
            if isinstance(value, Mapping) and any(isinstance(inner, Tensor) for inner in value.values())
        ]
        entry = next((name for name in _ENTRIES if name in entries), entries[0] if len(entries) == 1 else None)
        if entry is None and entries:
            raise CheckpointError(
                f"{path} has weights in several entries: {', '.join(map(str, entries))}. Save the one you mean: "
                "torch.save(torch.load(FILE)[ENTRY], NEW)."
            )
        content = content[entry] if entries else content
    if not isinstance(content, Mapping) or not content:
        held = "nothing" if isinstance(content, Mapping) else f"a {type(content).__name__}"
        raise CheckpointError(f"{path} holds {held}, not tensors by name. Give the file of a state dict.")
    others = [name for name, value in content.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if others:
        raise CheckpointError(
            f"{path} holds {len(others)} entries that are no tensors, such as {others[0]!r}. Give the file of a state "
            "dict, or one with it in the entry 'state_dict'."
        )
    return dict(content)


def _tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file; of a checkpoint of our own those of the model."""
    try:
        with safe_open(path, framework="pt") as file:
            prefix = "model." if (file.metadata() or {}).get("format") == FORMAT else ""
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 (it is no mapping)
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is no safetensors file of weights, or damaged: {error}. Get it again, or give another."
        ) from error


def _unpickled(path: Path) -> object:
    """What a file of `torch.save` holds, if it holds tensors and plain values only."""
    try:
        with torch.serialization.safe_globals(list(_HARMLESS)), warnings.catch_warnings(action="ignore"):
            content: object = torch.load(path, map_location="cpu", weights_only=True)
            return content
    except Exception as error:  # damaged pickles raise anything
        text = str(error)
        code = re.search(r"GLOBAL ([\w.]+)", text)
        if code is not None:
            raise CheckpointError(
                f"{path} is a pickle that runs code when it is read: it needs {code[1]}, which is no tensor. "
                "Nothing of it was run. Where you trust it, write its weights anew: "
                "torch.save(torch.load(FILE, weights_only=False)['state_dict'], NEW)."
            ) from error
        raise CheckpointError(
            f"{path} is truncated, damaged, or no file of weights ({_reason(path, error)}). Get it again, or give a "
            ".safetensors file or one that torch.save wrote of a state dict."
        ) from error


def _reason(path: Path, error: Exception) -> str:
    """Why a file cannot be read, in a few of the many words of PyTorch."""
    text = " ".join(str(error).split())
    if "TorchScript" in text:
        return "TorchScript, which is code"
    if "Unsupported operand" in text:
        pickled = path.open("rb").read(1) == b"\x80"
        return "a pickle that torch.save did not write, which may run code" if pickled else "nothing that PyTorch knows"
    return text.partition(". ")[0] or type(error).__name__


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def _fetched(address: str, allow_url: bool) -> Path:
    """The file at an address, in the cache."""
    if not allow_url:
        raise CheckpointError(
            f"{address} is an address, which is fetched only when asked: give allow_url=True (on the command line "
            "--allow-url), or download it yourself and give the path."
        )
    name = Path(urllib.parse.urlsplit(address).path).name or "weights"
    digest = hashlib.sha256(address.encode()).hexdigest()[:8]  # many addresses end in one name
    path = Path(torch.hub.get_dir()) / "checkpoints" / f"{digest}-{name}"
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(address, str(path))
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise CheckpointError(
                f"{address} cannot be fetched into {path.parent}: {error}. Download it yourself and give the path."
            ) from error
    return path
