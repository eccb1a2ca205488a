"""Verify a file in a fresh process: `python -m hwnas.device`, with a request on stdin and the answer on stdout.

The final verification of a search must not profit from a process that is already warm, nor suffer from
one that has just trained a network.
"""

from __future__ import annotations

import dataclasses
import json
import sys

from hwnas.device.registry import connect
from hwnas.device.verify import verify


def main() -> None:
    """Read {"path", "device", "threads", "batch_size", "limit_ms", "table", "rounds"}; write the verification."""
    request = json.load(sys.stdin)
    runtime = connect(request["device"], threads=request["threads"], batch_size=request["batch_size"])
    verification = verify(
        request["path"], runtime, request["limit_ms"], table=request["table"], rounds=request["rounds"]
    )
    json.dump(dataclasses.asdict(verification), sys.stdout)


if __name__ == "__main__":
    main()
