"""Running a search to the end; experiments of many trials.

search         the main job: table, feasibility, supernet, a study for every set of budgets
study          one set of budgets: trials, the chosen network, its rivals, the result
one_shot       the driver of strategies that take steps
trials         the main job's strategies that ask, over the engine
scoring        an architecture's score, in this process
settle         derive, export, measure; tighten while a budget is broken
finishing      fine-tune, export, verify, test
retraining     a finished search's network, trained to its final form by final_recipes; found_network reads it back
deployment     the file, and what is measured of it
budgets        from "latency<=5ms" to budgets, and to one set for each network
strategies     strategies by name, with their options
supernet       training the supernet of a search
config         the TOML file; configured runs what it describes
run_directory  one configuration, one writer
phases         progress and seconds
result         result.json
reporting      report.html and front.csv

experiment     an experiment of many trials: a space, an evaluator, a strategy, a folder
given_evaluator, given_strategy  what it is given as the second and the third
engine         the one loop of ask, evaluate, write, tell; driven_strategy: asked and told now, or by replay
executor       what runs trials: the protocol; executors: by name
inline         ... in this process; what a trial is in any process: hwnas.trial
process_pool   ... in processes of their own; worker_process: one of them; trial_clock: how long its trial has run
ray_executor   ... on a cluster; ray_cluster: the connection to it
metric         what is wanted of a trial's numbers
standings      the best and the front so far (hypervolume: its size); image_scores: scores of every image as bytes
recorded       a run as its folder has it; status: how far it is; exporting: its best as files
optuna_study   a run as a study of Optuna, and back
measuring      profilers, of which the latency is measured when it is needed
"""

from hwnas.experiment.config import SearchConfig, read_config
from hwnas.experiment.configured import retrain_configured, search_configured, train_configured
from hwnas.experiment.executor import Executor
from hwnas.experiment.executors import EXECUTORS
from hwnas.experiment.experiment import Experiment
from hwnas.experiment.final_recipes import FINAL_RECIPES, final_recipe
from hwnas.experiment.inline import InlineExecutor
from hwnas.experiment.metric import Metric
from hwnas.experiment.one_shot import run_one_shot
from hwnas.experiment.optuna_study import ExportedStudy, export_optuna, import_optuna
from hwnas.experiment.phases import Advance
from hwnas.experiment.process_pool import ProcessPool
from hwnas.experiment.ray_executor import RayExecutor
from hwnas.experiment.recorded import RecordedExperiment, RecordedRun, read_experiment, read_run
from hwnas.experiment.result import BudgetResult, RivalResult, SearchResult, SplitResult
from hwnas.experiment.retraining import RetrainingResult, retrain
from hwnas.experiment.search import search, search_each
from hwnas.experiment.settle import Attempt, Measured, settle
from hwnas.experiment.standings import Found, TrialFront
from hwnas.experiment.status import Status
from hwnas.experiment.strategies import STRATEGIES

__all__ = [
    "EXECUTORS",
    "FINAL_RECIPES",
    "STRATEGIES",
    "Advance",
    "Attempt",
    "BudgetResult",
    "Executor",
    "Experiment",
    "ExportedStudy",
    "Found",
    "InlineExecutor",
    "Measured",
    "Metric",
    "ProcessPool",
    "RayExecutor",
    "RecordedExperiment",
    "RecordedRun",
    "RetrainingResult",
    "RivalResult",
    "SearchConfig",
    "SearchResult",
    "SplitResult",
    "Status",
    "TrialFront",
    "export_optuna",
    "final_recipe",
    "import_optuna",
    "read_config",
    "read_experiment",
    "read_run",
    "retrain",
    "retrain_configured",
    "run_one_shot",
    "search",
    "search_configured",
    "search_each",
    "settle",
    "train_configured",
]
