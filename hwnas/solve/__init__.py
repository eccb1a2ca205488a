"""The best architectures of a space under hard budgets, with proofs.

    maximise    the best one, and the k best
    pareto      the whole front of utility and one cost, by merging Pareto sets
    merging     ... how Pareto sets are pruned, added and read back
    solution    what is handed back: architecture, costs, certificate
    problem     a utility and its budgets as masks and linear rows
    search      how the k best are found and proven
    beam        ... under a Lagrangian bound
    program     ... as a mixed-integer linear program for HiGHS
    uniform     drawing uniformly from what keeps the budgets, however rare
    infeasible  why no architecture keeps the budgets, and what could be achieved

Nothing here looks inside a network, and nothing imports torch.
"""

from hwnas.solve.maximise import k_best, maximise
from hwnas.solve.pareto import Front, pareto_front
from hwnas.solve.solution import Certificate, Solution
from hwnas.solve.uniform import UniformSampler

__all__ = ["Certificate", "Front", "Solution", "UniformSampler", "k_best", "maximise", "pareto_front"]
