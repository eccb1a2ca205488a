"""`hwnas export`: the ONNX file of a run's network, or of any network of a space."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwnas.cli.architecture_argument import read_architecture
from hwnas.cli.console import print_json, print_line, print_note
from hwnas.cli.options import Json
from hwnas.errors import BadInputError, CheckpointError, ExportError

if TYPE_CHECKING:
    from torch import nn

    from hwnas.nn import ModelSpace

__all__ = ["EXAMPLE", "command"]

EXAMPLE = "hwnas export mobilenet_v3_28 --arch architecture.json --weights network.safetensors --out net.onnx"


def command(
    source: Annotated[str, typer.Argument(metavar="RUN|SPACE", help="The folder of a search, or a space.")],
    out: Annotated[Path, typer.Option(help="The ONNX file to write.")],
    arch: Annotated[
        str | None, typer.Option(metavar="STRING|NAME|FILE.json", help="With a space: which of its networks.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="With a space: the network's .safetensors file, or the folder of a supernet."),
    ] = None,
    json: Json = False,
) -> None:
    """Write the ONNX file of a run's network, or of a network of a space with the weights given."""
    if Path(source).is_dir():
        if arch is not None or weights is not None:
            raise BadInputError("A run has its own architecture and weights; leave --arch and --weights away.")
        _copy_from_run(Path(source), out)
    elif arch is None:
        raise BadInputError(
            f"{source} is no folder of a run, so it is taken for a space: say which of its networks with --arch."
        )
    else:
        _export_from_space(source, arch, weights, out)
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


def _export_from_space(reference: str, arch: str, weights: Path | None, out: Path) -> None:
    from hwnas.export import export_onnx
    from hwnas.nn.families import load_space
    from hwnas.train import load_supernet

    space: ModelSpace = load_space(reference)
    architecture = read_architecture(space, arch)
    if weights is not None and weights.is_dir():
        load_supernet(space, weights)
        print_note("Batch norm has the supernet's statistics, not this network's: good for measuring, not for use.")
    network = space.freeze(architecture)
    if weights is None:
        print_note("Without --weights the network is untrained: good for measuring, not for use.")
    elif not weights.is_dir():
        _load(network, weights)
    export_onnx(network, space.example_inputs, out)


def _load(network: nn.Module, path: Path) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path} is no safetensors file of weights: {error}.") from error
    except RuntimeError as error:  # torch's one error for names and shapes that do not fit
        problems = " ".join(str(error).split())
        raise CheckpointError(
            f"{path} does not hold the weights of this architecture: {problems[:300]}. Give the --arch they belong to."
        ) from error
