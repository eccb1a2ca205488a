"""One evaluation of one architecture, in whatever process it runs.

It imports no torch, so that a worker is there at once; an evaluator imports what it needs.

evaluator           what evaluates a trial: the protocol, and what it may use beside the architecture
function_evaluator  ... a user's function; imported: functions by name
table_evaluator     ... tabulated results
task                what crosses to a worker, and what comes back
attempt             evaluating a task: whatever happens in it becomes an `Ended`, also past its time_limit
exclusive           one trial at a time at a device
worker              a process that evaluates for a pool
on_cluster          ... a task of a cluster that does; mailbox: how it talks to the program; gate: who is alone
"""

from hwnas.trial.evaluator import Evaluated, EvaluatorReference, TrialContext, TrialEvaluator, TrialStopped
from hwnas.trial.function_evaluator import FunctionEvaluator
from hwnas.trial.table_evaluator import TableEvaluator
from hwnas.trial.task import Ended, EndedStatus, TrialTask

__all__ = [
    "Ended",
    "EndedStatus",
    "Evaluated",
    "EvaluatorReference",
    "FunctionEvaluator",
    "TableEvaluator",
    "TrialContext",
    "TrialEvaluator",
    "TrialStopped",
    "TrialTask",
]
