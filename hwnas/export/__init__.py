"""From a module to a file: one exporter for what is measured and what is shipped.

- `export_onnx`: a whole network; `export_blocks`: many blocks in a few exports, kept on disk by key;
- `export_reference`: a fixed network to measure beside others; `file_size_bytes`: what a size budget is about.
"""

from hwnas.export.blocks import BlockItem, export_blocks
from hwnas.export.file import file_size_bytes, write_whole
from hwnas.export.onnx_file import ExampleInputs, evaluating, export_onnx, flat_tensors
from hwnas.export.reference import export_reference

__all__ = [
    "BlockItem",
    "ExampleInputs",
    "evaluating",
    "export_blocks",
    "export_onnx",
    "export_reference",
    "file_size_bytes",
    "flat_tensors",
    "write_whole",
]
