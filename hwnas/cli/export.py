"""`hwnas export`: the ONNX file of a run's network, or of any network of a space."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.architecture_argument import read_architecture
from hwnas.cli.console import print_json, print_line, print_note
from hwnas.cli.options import AllowUrl, Json
from hwnas.errors import BadInputError, ExportError

if TYPE_CHECKING:
    from torch import nn

    from hwnas.nn import ModelSpace
    from hwnas.space import Architecture

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "hwnas export hardcorenas-a --weights hardcorenas_a.safetensors --out net.onnx"


def command(
    source: Annotated[
        str, typer.Argument(metavar="RUN|SPACE|NAME", help="The folder of a search, a space, or a published network.")
    ],
    out: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    arch: Annotated[
        str | None, typer.Option(metavar="STRING|NAME|FILE.json", help="With a space: which of its networks.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|FOLDER|URL",
            help="With a space: weights of the network or of the supernet, .safetensors or of torch.save; or the "
            "folder of a supernet.",
        ),
    ] = None,
    allow_url: AllowUrl = False,
    json: Json = False,
) -> None:
    """Write the ONNX file of a run's network, or of a network of a space with the weights given."""
    if Path(source).is_dir():
        if arch is not None or weights is not None:
            raise BadInputError("A run has its own architecture and weights; leave --arch and --weights away.")
        _copy_from_run(Path(source), out)
    else:
        _export_from_space(source, arch, weights, out, allow_url)
    size_bytes = out.stat().st_size
    if json:
        print_json({"file": str(out), "size_bytes": size_bytes})
    else:
        print_line(f"{out}: {size_bytes:,} bytes")


def _copy_from_run(run: Path, out: Path) -> None:
    network = run / "network.onnx"
    if not network.is_file():
        several = sorted(str(path.parent) for path in run.glob("*/network.onnx"))
        remedy = f"It has several; name one: {', '.join(several)}." if several else "Let its search finish first."
        raise BadInputError(f"{run} holds no network.onnx. {remedy}")
    try:
        shutil.copyfile(network, out)
    except (OSError, shutil.SameFileError) as error:
        raise ExportError(f"{network} cannot be copied to {out}: {error}. Give another --out.") from error


def _export_from_space(reference: str, arch: str | None, weights: str | None, out: Path, allow_url: bool) -> None:
    from hwnas.export import export_onnx
    from hwnas.nn.families import find_published, load_space

    if arch is None and find_published(reference) is not None:
        arch = reference
    if arch is None:
        raise BadInputError(
            f"{reference} is no folder of a run, so it is taken for a space: say which of its networks with --arch."
        )
    space: ModelSpace = load_space(reference)
    architecture = read_architecture(space, arch)
    if weights is None:
        print_note("Without --weights the network is untrained: good for measuring, not for use.")
        network = space.freeze(architecture)
    else:
        network = _trained(space, architecture, weights, allow_url)
    export_onnx(network, space.example_inputs, out)


def _trained(space: ModelSpace, architecture: Architecture, weights: str, allow_url: bool) -> nn.Module:
    """The network with weights of its own, or with those of its supernet."""
    from hwnas.train import load_supernet, load_weights, read_weights, weights_fit

    if Path(weights).is_dir():
        load_supernet(space, weights)
    else:
        tensors = read_weights(weights, allow_url=allow_url)
        if not weights_fit(space, tensors):
            network = space.freeze(architecture)
            load_weights(network, tensors)
            return network
        load_weights(space, tensors)
    print_note("Batch norm has the supernet's statistics, not this network's: good for measuring, not for use.")
    return space.freeze(architecture)
