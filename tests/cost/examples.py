"""Random tables over random conditional spaces."""

import numpy as np

from hwnas.cost import CostTable, Term
from hwnas.space import Distribution, Space


def random_table(space: Space, rng: np.random.Generator, *, num_terms: int = 4, integral: bool = False) -> CostTable:
    """Terms over one to three choices in any order, inactive slots included."""
    terms = []
    for _ in range(num_terms):
        size = int(rng.integers(1, min(3, len(space.choices)) + 1))
        choices = [space.choices[index] for index in rng.choice(len(space.choices), size=size, replace=False)]
        shape = [choice.num_options + 1 for choice in choices]
        values = rng.integers(0, 10**9, shape) if integral else rng.normal(size=shape)
        terms.append(Term(tuple(choice.name for choice in choices), values))
    return CostTable(space, float(rng.integers(100)), terms)


def random_distribution(space: Space, rng: np.random.Generator) -> Distribution:
    """Dirichlet probabilities, some of them zero."""
    probabilities = {}
    for choice in space.choices:
        weights = rng.dirichlet(np.ones(choice.num_options)) * (rng.random(choice.num_options) < 0.8)
        probabilities[choice.name] = weights / weights.sum() if weights.sum() > 0 else np.eye(choice.num_options)[0]
    return Distribution(space, probabilities)
