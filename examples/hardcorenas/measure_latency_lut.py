"""Measure the latency of every block of HardCoRe-NAS's space on a device: the look-up table of its searches.

Niv Nayman et al.: HardCoRe-NAS, ICML 2021, https://arxiv.org/abs/2102.11646. The table is in milliseconds a run, and
says where and how it was measured. The same command measures only what is missing. It is what `hwnas measure
mobilenet_v3` does, with the options of the published code.
"""

from __future__ import annotations

from collections.abc import Sequence

from setting import DEVICES, SMOKE_SPACE, connect_target

from hwnas.cli.console import print_line, progress_bars
from hwnas.cli.script import parser, run
from hwnas.device import measure
from hwnas.nn.families import mobilenet_v3


def main(arguments: Sequence[str]) -> None:
    """Measure, and say what came of it."""
    p = parser(__doc__, example="python measure_latency_lut.py --target_device onnx --lut_filename lut.sqlite")
    names = ", ".join(f"{name!r} is {device}" for name, device in DEVICES.items())
    p.add_argument("--target_device", default="onnx", help=f"the device, by its name here or there: {names}")
    p.add_argument("--lut_filename", default="lut.sqlite", help="the table: a new file, or one to go on with")
    p.add_argument("--lut_measure_batch_size", type=int, default=1, help="images a run")
    p.add_argument("--repeat_measure", type=int, default=3, help="rounds in which every block is visited")
    p.add_argument("--calibrate", type=int, default=12, help="whole networks measured to calibrate the blocks' sum")
    p.add_argument("--threads", type=int, default=1, help="of a run")
    p.add_argument("--img-size", type=int, default=224, help="height and width of the images, in pixels")
    p.add_argument("--num-classes", type=int, default=1000, help="classes of the data that is searched on")
    p.add_argument("--smoke", action="store_true", help="a small member of the space, one round, three networks")
    if "--smoke" in arguments:
        p.set_defaults(img_size=32, num_classes=4, repeat_measure=1, calibrate=3)
    given = p.parse_args(arguments)
    runtime = connect_target(given.target_device, threads=given.threads, batch_size=given.lut_measure_batch_size)
    options = {"resolution": given.img_size, "num_classes": given.num_classes} | (SMOKE_SPACE if given.smoke else {})
    with progress_bars() as show:
        table = measure(
            mobilenet_v3(**options),
            runtime,
            out=given.lut_filename,
            repeats=given.repeat_measure,
            calibrate=given.calibrate,
            progress=lambda step: show(step.phase, step.done, step.total, step.item),
        )
    print_line(f"{len(table.milliseconds)} blocks in {given.lut_filename}, in milliseconds a run")
    print_line(f"noise floor: {table.noise_floor:.2%} (how far a later visit differs from the earlier ones)")


if __name__ == "__main__":
    run(main)
