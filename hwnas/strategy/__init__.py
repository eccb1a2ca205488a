"""Search algorithms, one file each.

protocol        what a multi-trial strategy is: ask, tell, derive
given           what all are given: spaces, budgets and profilers, refused where they are of another kind
certified       estimate an additive utility, solve exactly (the default)
certified_estimate ... the estimate, and how good it is
evolution       regularised evolution
spos            generations of the best ones' children, for single-path supernets
random_search   uniform over feasible architectures
grid_search     every feasible architecture, once
local_search    hill climbing over all neighbours, from random starts
nsga2           a population along the front of several objectives
domination      ... fronts and crowding
offspring       new architectures: children, and newcomers at random
optuna_strategy Optuna's samplers: TPE and others
policy_rl       a softmax for each choice, moved by REINFORCE
predictor_guided a regression on the trials so far says what comes next
feasible        drawing and repairing under hard budgets
history         outcomes told, the best of them under budgets
regression      a utility regressed on the choices
paired          comparing networks on the same images

middleware      what is put around a strategy: Chain
sample_filter   ... samples refused before they cost anything
deduplication   ... no evaluation twice
repeats         ... several evaluations of one proposal: after failures, or for their mean
known_trials    ... outcomes of earlier searches, told before the first
early_stopping  ... evaluations given up at an intermediate score
rank_by_cost    ... a cost that decides between equals
trial_limit     ... an end to a search that has none
stand_in        ... what a strategy is told of what was not evaluated
unbound         strategies and chains whose space comes later

one_shot        what a one-shot strategy is: step, distribution, derive
logits          architecture parameters and their optimiser's state
darts           gradient descent on a mixture of all options, first and second order
relaxed_nodes   ... which edges of a cell's nodes to keep
hardcorenas     Frank-Wolfe over probabilities that keep budgets in expectation
budgeted_points ... which probabilities keep them (simplices: linear programs over them)
fbnet           a Gumbel softmax of all options, with the cost of the same draw
proxylessnas    one path for the weights, two for the architecture
grad_reg_loss   ... the cost in its loss
reference_cost  an expected cost beside its reference, in a unit for logarithms
put_back        what an architecture step leaves as it was
enas            a controller that learns by reinforcement which paths are good
controller      ... its LSTM
completion      ... masks: what the choices still to be made will cost at least
derivation      from logits to the best architecture under hard budgets
penalties       what an expected or a sampled cost adds to the loss
filters         which architectures may be sampled and handed on
mixable         which spaces can be searched by adding up options
"""

from hwnas.strategy.certified import Certified
from hwnas.strategy.certified_estimate import EstimateQuality
from hwnas.strategy.darts import DARTS
from hwnas.strategy.deduplication import Deduplication
from hwnas.strategy.early_stopping import MedianStopping, SuccessiveHalving
from hwnas.strategy.enas import ENAS
from hwnas.strategy.evolution import RegularizedEvolution
from hwnas.strategy.fbnet import FBNet
from hwnas.strategy.filters import RangeProfilerFilter
from hwnas.strategy.grid_search import GridSearch
from hwnas.strategy.hardcorenas import HardCoReNAS
from hwnas.strategy.known_trials import KnownTrials
from hwnas.strategy.local_search import LocalSearch
from hwnas.strategy.middleware import Chain, Middleware
from hwnas.strategy.nsga2 import NSGA2
from hwnas.strategy.one_shot import Moment, OneShot
from hwnas.strategy.optuna_strategy import TPE, OptunaStrategy
from hwnas.strategy.penalties import ExpectationProfilerPenalty, SampleProfilerPenalty
from hwnas.strategy.policy_rl import PolicyBasedRL
from hwnas.strategy.predictor_guided import PredictorGuided
from hwnas.strategy.protocol import Derived, Fidelity, Outcome, Proposal, StopsTrials, Strategy
from hwnas.strategy.proxylessnas import ProxylessNAS
from hwnas.strategy.random_search import Random
from hwnas.strategy.rank_by_cost import RankByCost
from hwnas.strategy.repeats import FailureHandler, MultipleEvaluation
from hwnas.strategy.sample_filter import Filter, LatencyFilter
from hwnas.strategy.spos import SPOS
from hwnas.strategy.trial_limit import TrialLimit

__all__ = [
    "DARTS",
    "ENAS",
    "NSGA2",
    "SPOS",
    "TPE",
    "Certified",
    "Chain",
    "Deduplication",
    "Derived",
    "EstimateQuality",
    "ExpectationProfilerPenalty",
    "FBNet",
    "FailureHandler",
    "Fidelity",
    "Filter",
    "GridSearch",
    "HardCoReNAS",
    "KnownTrials",
    "LatencyFilter",
    "LocalSearch",
    "MedianStopping",
    "Middleware",
    "Moment",
    "MultipleEvaluation",
    "OneShot",
    "OptunaStrategy",
    "Outcome",
    "PolicyBasedRL",
    "PredictorGuided",
    "Proposal",
    "ProxylessNAS",
    "Random",
    "RangeProfilerFilter",
    "RankByCost",
    "RegularizedEvolution",
    "SampleProfilerPenalty",
    "StopsTrials",
    "Strategy",
    "SuccessiveHalving",
    "TrialLimit",
]
