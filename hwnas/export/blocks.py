"""Many blocks at the price of a few exports: a group in one wrapper module, the file split by the blocks' names.

The exporter takes seconds for anything, however small; a dozen blocks side by side take hardly longer than one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from onnx.utils import Extractor
from torch import Tensor, nn

from hwnas.export.file import write_whole
from hwnas.export.onnx_file import evaluating, flat_tensors, onnx_model
from hwnas.measurement import PROTOCOL_VERSION

__all__ = ["BlockItem", "export_blocks"]

BlockItem = tuple[str, nn.Module, Sequence[Tensor]]
"""A block's key, the module and the inputs it is called with."""

_GROUP_SIZE = 16
_GROUP_BYTES = 256 * 2**20  # of parameters: a protobuf message holds at most 2 GiB


def export_blocks(
    items: Sequence[BlockItem],
    directory: str | os.PathLike[str],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Export every block to a file of its own in `directory`, unless it lies there already.

    A block's weights are kept but for what would change its time: not-a-number, infinities and denormals become 0.

    Args:
        items: key, module and example inputs of every block; items with equal keys and shapes share a file.
        directory: kept between calls; a file's name tells the key, the input shapes, torch's version and the number
            of the measuring protocol.
        progress: called with the number of exported blocks and of all.

    Returns:
        The file of every item, in their order.

    Raises:
        ExportError: a module cannot be exported; the message names its key and class.
    """
    paths = [Path(directory) / _file_name(key, inputs) for key, _, inputs in items]
    missing = {path: item for path, item in zip(paths, items, strict=True) if not path.is_file()}
    done = len(set(paths)) - len(missing)
    for group in _groups(list(missing.items())):
        for path, content in zip((path for path, _ in group), _export_group([i for _, i in group]), strict=True):
            write_whole(path, content)
        done += len(group)
        if progress is not None:
            progress(done, len(set(paths)))
    return paths


class _SideBySide(nn.Module):
    """Independent blocks in one module: all their inputs in, all their outputs out."""

    def __init__(self, items: Sequence[BlockItem]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(module for _, module, _ in items)
        self._counts = [len(inputs) for _, _, inputs in items]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        outputs: list[Tensor] = []
        start = 0
        for block, count in zip(self.blocks, self._counts, strict=True):
            outputs += flat_tensors(block(*inputs[start : start + count]))
            start += count
        return tuple(outputs)

    def num_outputs(self, items: Sequence[BlockItem]) -> list[int]:
        """How many tensors each block gives."""
        with evaluating(self), torch.no_grad():
            return [len(flat_tensors(module(*inputs))) for _, module, inputs in items]


def _export_group(items: Sequence[BlockItem]) -> list[bytes]:
    """The files of a group; where the whole group fails, block by block, so that the error names the block."""
    if len(items) == 1:
        key, module, inputs = items[0]
        name = f"{type(module).__name__} (block {key[:12]})"
        names = [f"input_{index}" for index in range(len(inputs))]
        return [_content(onnx_model(module, inputs, input_names=names, output_prefix="output_", name=name))]
    try:
        models = _split(items)
    except Exception:  # whatever one of the blocks raises; exported alone, it raises again and is named
        return [_export_group([item])[0] for item in items]
    return [_content(model) for model in models]


def _split(items: Sequence[BlockItem]) -> list[onnx.ModelProto]:
    wrapper = _SideBySide(items)
    input_names = [[f"block_{number}_input_{i}" for i in range(len(item[2]))] for number, item in enumerate(items)]
    model = onnx_model(
        wrapper,
        [tensor for _, _, inputs in items for tensor in inputs],
        input_names=[name for names in input_names for name in names],
        output_prefix="output_",
    )
    extractor = Extractor(model)
    weights = {weight.name: weight for weight in model.graph.initializer}
    models = []
    start = 0
    for names, count in zip(input_names, wrapper.num_outputs(items), strict=True):
        outputs = [f"output_{index}" for index in range(start, start + count)]
        models.append(extractor.extract_model(names, outputs))
        # The extractor keeps weights that nodes read; an output may be one itself: the constant that no skip at all is.
        kept = {weight.name for weight in models[-1].graph.initializer}
        models[-1].graph.initializer.extend(weights[name] for name in outputs if name in weights.keys() - kept)
        start += count
    return models


def _content(model: onnx.ModelProto) -> bytes:
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype.kind == "f":
            clean = np.where(np.isfinite(values) & (np.abs(values) >= np.finfo(values.dtype).tiny), values, 0)
            if not np.array_equal(clean, values):
                weight.CopyFrom(numpy_helper.from_array(clean.astype(values.dtype), weight.name))
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _file_name(key: str, inputs: Sequence[Tensor]) -> str:
    """Everything on which a block's file depends."""
    shapes = ",".join(f"{tensor.dtype}{tuple(tensor.shape)}" for tensor in inputs)
    return hashlib.sha256(f"{PROTOCOL_VERSION}|{torch.__version__}|{key}|{shapes}".encode()).hexdigest() + ".onnx"


def _groups(missing: Sequence[tuple[Path, BlockItem]]) -> Iterator[list[tuple[Path, BlockItem]]]:
    group: list[tuple[Path, BlockItem]] = []
    size_bytes = 0
    for path, item in missing:
        added = sum(parameter.nbytes for parameter in item[1].parameters())
        if group and (len(group) == _GROUP_SIZE or size_bytes + added > _GROUP_BYTES):
            yield group
            group, size_bytes = [], 0
        group.append((path, item))
        size_bytes += added
    if group:
        yield group
