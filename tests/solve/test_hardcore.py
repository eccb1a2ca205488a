"""The rounding of HardCoRe-NAS breaks budgets; the exact solver does not.

An emulation of the search of Nayman et al., HardCoRe-NAS, ICML 2021, arXiv:2102.11646, on an additive utility: the
probabilities alpha of the blocks and beta of the depths are optimised in turn, each by the linear program that the
other leaves (expected latency at most the budget), and the relaxed optimum is rounded by argmax.
"""

import numpy as np
from scipy.optimize import linprog

from hwnas.cost import Budget
from hwnas.solve import maximise

from .random_problems import block_table, stages

NUM_STAGES, NUM_BLOCKS, NUM_OPTIONS, DEPTHS = 5, 4, 12, (2, 3, 4)


def hardcore(utility: np.ndarray, latency: np.ndarray, budget: float) -> dict[str, int]:
    """The architecture of argmax; tables have the axes stage, block, option."""
    runs = np.array([[block < depth for depth in DEPTHS] for block in range(NUM_BLOCKS)], dtype=float)  # block, depth
    beta = np.zeros((NUM_STAGES, len(DEPTHS)))
    beta[:, 0] = 1.0  # shallow: feasible where anything is
    for _ in range(10):
        weight = beta @ runs.T  # (stage, block): the probability that the block runs
        alpha = _simplices(weight[..., None] * utility, weight[..., None] * latency, budget)
        gain, time = ((alpha * table).sum(-1) @ runs for table in (utility, latency))  # (stage, depth)
        beta = _simplices(gain, time, budget)
    chosen = {}
    for stage in range(NUM_STAGES):
        depth = DEPTHS[int(beta[stage].argmax())]
        chosen[f"s{stage}.depth"] = depth
        chosen |= {f"s{stage}.b{block}": int(alpha[stage, block].argmax()) for block in range(depth)}
    return chosen


def _simplices(gain: np.ndarray, cost: np.ndarray, budget: float) -> np.ndarray:
    """Maximise gain over a product of simplices (the last axis) under one row."""
    num = gain.shape[-1]
    count = gain.size // num
    ones = np.kron(np.eye(count), np.ones(num))
    result = linprog(-gain.ravel(), A_ub=cost.reshape(1, -1), b_ub=[budget], A_eq=ones, b_eq=np.ones(count))
    assert result.success
    return result.x.reshape(gain.shape)


def test_argmax_breaks_budgets_and_the_exact_solver_never():
    space = stages(NUM_STAGES, NUM_OPTIONS)
    broken = 0
    for seed in range(21):
        rng = np.random.default_rng(seed)
        utility, cost = block_table(space, rng), block_table(space, rng, unit="ms")
        low, high = cost.minimum().value, cost.maximum().value
        budget = Budget("latency", low + (0.2 + 0.03 * seed) * (high - low), "ms", cost)
        dense = [_dense(table) for table in (utility, cost)]
        rounded = space.validate(hardcore(*dense, budget.limit - cost.constant))
        exact = maximise(utility, [budget])
        assert budget.holds(exact.architecture)
        assert exact.certificate.gap == 0.0
        if budget.holds(rounded):
            assert utility.value(rounded) <= exact.certificate.objective + 1e-9
        else:
            broken += 1
    assert broken > 0


def _dense(table) -> np.ndarray:
    values = {term.choices[0]: term.values[:-1] for term in table.terms}
    return np.array([[values[f"s{stage}.b{block}"] for block in range(NUM_BLOCKS)] for stage in range(NUM_STAGES)])
