"""The words of a fingerprint that describe this machine."""

from __future__ import annotations

import platform
import re
from pathlib import Path

__all__ = ["processor_flags", "processor_name"]

_CPUINFO = Path("/proc/cpuinfo")
_VECTOR_FLAG = re.compile(r"^(avx|sse|ssse|fma|f16c|amx|asimd|sve|sme\d?$|neon|i8mm|bf16|vfp|crc32)")


def processor_name(cpuinfo: Path = _CPUINFO) -> str:
    """The processor's model, as the system calls it."""
    for field in ("model name", "Hardware", "CPU part"):
        values = _values(cpuinfo, field)
        if values:
            return values[0]
    return platform.processor() or platform.machine()


def processor_flags(cpuinfo: Path = _CPUINFO) -> str:
    """The vector instruction sets, sorted; flags that do not change the choice of kernels are left out."""
    words = {word for field in ("flags", "Features") for line in _values(cpuinfo, field)[:1] for word in line.split()}
    return " ".join(sorted(word for word in words if _VECTOR_FLAG.match(word)))


def _values(cpuinfo: Path, field: str) -> list[str]:
    if not cpuinfo.exists():
        return []
    lines = (line.partition(":") for line in cpuinfo.read_text(errors="replace").splitlines())
    return [value.strip() for name, _, value in lines if name.strip() == field]
