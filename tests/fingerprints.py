"""Where numbers of tests are said to be taken."""

from hwnas.measurement import Fingerprint

__all__ = ["FINGERPRINT"]

FINGERPRINT = Fingerprint(
    device="onnxruntime:cpu",
    processor="a processor",
    processor_flags="avx2",
    runtime="onnxruntime",
    runtime_version="1.20",
    precision="float32",
    threads=1,
    batch_size=1,
    layout="NCHW",
)
