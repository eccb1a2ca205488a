"""Write the ONNX file of the network that `train.py` has found and `retrain.py` has trained.

The file is run and compared with the network before it counts as written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from faces import SMOKE_IMAGE_SIZE, make_space

from hwnas.cli.console import print_line
from hwnas.cli.script import parser, run
from hwnas.device import connect, onnx_difference
from hwnas.errors import ExportError
from hwnas.experiment.found_network import found_networks
from hwnas.export import export_onnx
from hwnas.train import load_weights, read_weights

EXAMPLE = "python export.py --supernet ./ckpt_save/supernet --resume ./ckpt_save/subnet"
TOLERANCE = 1e-4  # of coordinates, which are fractions of the image's side


def main(arguments: Sequence[str]) -> None:
    """Export what the arguments say."""
    program = parser(__doc__, example=EXAMPLE)
    add = program.add_argument
    add("--supernet", default="./ckpt_save/supernet", help="folder that train.py has written: the architecture")
    add("--resume", default="./ckpt_save/subnet", help="folder that retrain.py has written, or a file of weights")
    add("--num_points", type=int, default=106, help="of the faces that it was trained on")
    add("--img_size", type=int, default=112, help="as of train.py")
    add("--onnx", "--onnx_sim", default="./output/subnet.onnx", help="the file to write")
    add("--smoke", action="store_true", help="goes with that of train.py")
    if "--smoke" in arguments:
        program.set_defaults(img_size=SMOKE_IMAGE_SIZE)
    options = program.parse_args(arguments)

    space = make_space(num_points=options.num_points, image_size=options.img_size, smoke=options.smoke)
    [found] = found_networks(options.supernet)
    network = space.freeze(found.architecture).eval()
    resume = Path(options.resume)
    load_weights(network, read_weights(resume / "network.safetensors" if resume.is_dir() else resume))
    path = export_onnx(network, space.example_inputs, options.onnx)
    faces = (torch.rand(1, 3, options.img_size, options.img_size, generator=torch.Generator().manual_seed(0)),)
    difference = onnx_difference(path, network, faces, connect("onnxruntime:cpu"))
    if difference > TOLERANCE:
        raise ExportError(
            f"{path} differs from the network by {difference:.2g}, more than {TOLERANCE:g}. Do not ship it; please "
            "report it with the versions of torch, onnx and onnxruntime."
        )
    print_line(f"{path}: {path.stat().st_size:,} bytes; differs from the network by at most {difference:.1g}")


if __name__ == "__main__":
    run(main)
