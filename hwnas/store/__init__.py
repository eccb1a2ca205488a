"""What was measured and tried, on disk before it is acted on.

- `Database`, `Schema`: a SQLite file that is whole, ours and written by one process;
- `MeasurementStore`, `Visit`: latencies of blocks and networks, and the reference model they were measured beside;
- `TrialStore`, `Trial`: evaluated architectures in the order in which they were asked for.
"""

from hwnas.store.database import Database, Schema
from hwnas.store.measurements import MeasurementStore, Visit
from hwnas.store.trials import Trial, TrialStore

__all__ = ["Database", "MeasurementStore", "Schema", "Trial", "TrialStore", "Visit"]
