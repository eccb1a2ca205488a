"""A module as an ONNX file, by torch's exporter: the one way from a network to what is measured and shipped."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from hwnas.errors import ExportError
from hwnas.export.file import write_whole

__all__ = ["ExampleInputs", "evaluating", "export_onnx", "flat_tensors", "onnx_model"]
ExampleInputs = Tensor | Sequence[Any] | Mapping[str, Any]


def export_onnx(module: nn.Module, example_inputs: ExampleInputs, path: str | os.PathLike[str]) -> Path:
    """Write `module` in eval mode as one ONNX file with fixed shapes, weights inside, batch norm folded.

    Inputs are called `input_0`, `input_1`, ..., outputs `output_0`, ...; a nested tuple of outputs is flattened.
    The file is written aside, fsynced and renamed. The module is left as it was, its training mode included.

    Args:
        module: plain PyTorch, as `ModelSpace.freeze` gives it.
        example_inputs: what `module` is called with: a tensor, a tuple of positional or a dict of keyword arguments;
            their shapes become the file's.
        path: the file.

    Returns:
        `path`.

    Raises:
        ExportError: the exporter refuses the module (the message names it), or the file cannot be written.
    """
    names = [f"input_{index}" for index in range(len(flat_tensors(example_inputs)))]
    model = onnx_model(module, example_inputs, input_names=names, output_prefix="output_")
    write_whole(Path(path), model.SerializeToString(deterministic=True))
    return Path(path)


def onnx_model(
    module: nn.Module,
    example_inputs: ExampleInputs,
    *,
    input_names: Sequence[str],
    output_prefix: str,
    name: str = "",
) -> onnx.ModelProto:
    """Export to memory; outputs are called by prefix and number, and an error calls the module `name` (or its class).

    Raises:
        ExportError: the exporter refuses the module.
    """
    given = (example_inputs,) if isinstance(example_inputs, Tensor) else example_inputs
    args, kwargs = ((), dict(given)) if isinstance(given, Mapping) else (tuple(given), {})
    try:
        with evaluating(module), _quiet(), torch.no_grad():
            num_outputs = len(flat_tensors(module(*args, **kwargs)))
            program = torch.onnx.export(
                module,
                args,
                kwargs=kwargs,
                dynamo=True,
                verbose=False,
                input_names=list(input_names),
                output_names=[f"{output_prefix}{index}" for index in range(num_outputs)],
                external_data=False,
                optimize=True,
            )
    except Exception as error:  # the exporter raises whatever the module and torch.export raise
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in flat_tensors(given))
        raise ExportError(
            f"The module {name or type(module).__name__!r} cannot be exported to ONNX with inputs of shape {shapes}: "
            f"{_reason(error)}. Replace what torch.onnx.export(dynamo=True) does not support: control flow that "
            "depends on data, or an operator without an ONNX form."
        ) from error
    assert program is not None  # only with fallback to the old exporter
    model: onnx.ModelProto = program.model_proto
    _forget_the_source(model)
    return model


def flat_tensors(outputs: object) -> list[Tensor]:
    """The tensors of nested tuples, lists and dictionaries, in the order in which the exporter lists them."""
    if isinstance(outputs, Tensor):
        return [outputs]
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    return [tensor for part in outputs for tensor in flat_tensors(part)] if isinstance(outputs, list | tuple) else []


def _forget_the_source(model: onnx.ModelProto) -> None:
    """Drop what says where the network was written: paths of this machine, stack traces."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        del value.metadata_props[:]
    for weight in model.graph.initializer:
        del weight.metadata_props[:]


def _reason(error: BaseException) -> str:
    """The innermost cause in one line: the exporter wraps it several times over."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].rstrip('.') if lines else 'no message'}"


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode inside; afterwards every submodule is in the mode in which it was."""
    modes = [(submodule, submodule.training) for submodule in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for submodule, training in modes:
            submodule.training = training


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No warnings, log lines or prints of the exporter; those of other threads are lost for as long."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        nowhere = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
