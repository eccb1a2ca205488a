"""Search algorithms, one file each.

protocol        what a multi-trial strategy is: ask, tell, derive
certified       estimate an additive utility, solve exactly (the default)
evolution       regularised evolution
random_search   uniform over feasible architectures
feasible        drawing and repairing under hard budgets
history         outcomes told, the best of them under budgets
regression      a utility regressed on the choices
paired          comparing networks on the same images
"""

from hwnas.strategy.certified import Certified, EstimateQuality
from hwnas.strategy.evolution import RegularizedEvolution
from hwnas.strategy.protocol import Derived, Fidelity, Outcome, Proposal, Strategy
from hwnas.strategy.random_search import Random

__all__ = [
    "Certified",
    "Derived",
    "EstimateQuality",
    "Fidelity",
    "Outcome",
    "Proposal",
    "Random",
    "RegularizedEvolution",
    "Strategy",
]
