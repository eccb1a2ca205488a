"""Running a search to the end.

search         the main job: table, feasibility, supernet, a study for every set of budgets
study          one set of budgets: trials, the chosen network, its rivals, the result
one_shot       the driver of strategies that take steps
trials         ask, evaluate, write, tell; resume by replay
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
"""

from hwnas.experiment.config import SearchConfig, read_config
from hwnas.experiment.configured import retrain_configured, search_configured, train_configured
from hwnas.experiment.final_recipes import FINAL_RECIPES, final_recipe
from hwnas.experiment.one_shot import run_one_shot
from hwnas.experiment.phases import Advance
from hwnas.experiment.result import BudgetResult, RivalResult, SearchResult, SplitResult
from hwnas.experiment.retraining import RetrainingResult, retrain
from hwnas.experiment.search import search, search_each
from hwnas.experiment.settle import Attempt, Measured, settle
from hwnas.experiment.strategies import STRATEGIES

__all__ = [
    "FINAL_RECIPES",
    "STRATEGIES",
    "Advance",
    "Attempt",
    "BudgetResult",
    "Measured",
    "RetrainingResult",
    "RivalResult",
    "SearchConfig",
    "SearchResult",
    "SplitResult",
    "final_recipe",
    "read_config",
    "run_one_shot",
    "retrain",
    "retrain_configured",
    "search",
    "search_configured",
    "search_each",
    "settle",
    "train_configured",
]
