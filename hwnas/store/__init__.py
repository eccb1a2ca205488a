"""What was measured and tried, on disk before it is acted on.

- `Database`, `Schema`: a SQLite file that is whole, ours and written by one process; `writer_of` says by which;
- `MeasurementStore`, `Visit`: latencies of blocks and networks, and the reference model they were measured beside;
- `TrialStore`, `Trial`, `Event`: the trials of a run, and everything that happened to them in its order.
"""

from hwnas.store.database import Database, Schema
from hwnas.store.lock import writer_of
from hwnas.store.measurements import MeasurementStore, Visit
from hwnas.store.trials import Event, EventKind, Trial, TrialStatus, TrialStore

__all__ = [
    "Database",
    "Event",
    "EventKind",
    "MeasurementStore",
    "Schema",
    "Trial",
    "TrialStatus",
    "TrialStore",
    "Visit",
    "writer_of",
]
