"""The probabilities of options that keep every budget in expectation, one block of choices at a time.

An expected cost is a polynomial in the probabilities, linear in those of each choice. The choices are in two blocks:
*beta*, those that conditions of others depend on (depths), and *alpha*, all others (what a block is). As long as no
two choices of one block multiply in a cost, what one block may be while the other stays is a product of simplices
under one linear row a budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.cost import Budget, CostTable
from hwnas.errors import StrategyError
from hwnas.solve import maximise
from hwnas.space import Distribution, Space
from hwnas.strategy.simplices import Simplices

__all__ = ["BudgetedPoints", "Point"]

Vector = NDArray[np.float64]

Point = dict[str, Vector]
"""By choice, the probability of every option given that the choice is active: shape (num_options,)."""


class BudgetedPoints:
    """The points whose expected costs are within the budgets.

    A budget on a maximum, such as peak memory, has no expectation, and is left to whoever derives an architecture.

    Attributes:
        blocks: alpha and beta, as names of choices; one of them alone where the other would be empty.
    """

    def __init__(self, space: Space, budgets: Sequence[Budget]) -> None:
        """See the class.

        Raises:
            StrategyError: a cost that is not linear in a block; it names the choices that multiply.
        """
        conditions = [part.choice for choice in space.choices for parts in choice.condition for part in parts]
        alpha = [name for name in space.names if name not in conditions]
        beta = [name for name in space.names if name in conditions]
        self.blocks = [block for block in (alpha, beta) if block]
        self._space = space
        self._budgets = tuple(budgets)
        self._costs = [(budget.cost, budget.limit) for budget in budgets if isinstance(budget.cost, CostTable)]
        for budget in budgets:
            if isinstance(budget.cost, CostTable):
                self._require_bilinear(budget, budget.cost)

    def keeps(self, point: Mapping[str, Vector]) -> bool:
        """Whether every expected cost is within its limit."""
        distribution = Distribution(self._space, point)
        return all(cost.expected(distribution) <= limit for cost, limit in self._costs)

    def least(self, slopes: Mapping[str, Vector], block: Sequence[str], point: Mapping[str, Vector]) -> Point | None:
        """The vertex of a block at which the sum of slope times probability is least, the other block as in `point`.

        At most one choice a budget has more than one option there, or one choice more of them. None if there is none.
        """
        vertex = self._simplices(block, point).minimise(_flat(slopes, block))
        return None if vertex is None else self._parts(vertex, block)

    def near(self, point: Mapping[str, Vector]) -> Point:
        """A point that keeps the budgets, near to another one; that one itself where it does.

        The nearest one in alpha with beta as it is. Where there is none, alpha becomes that of a cheap architecture,
        beta the nearest one with it, and alpha the nearest one with that beta. Distances are Euclidean.

        Raises:
            InfeasibleError: no architecture keeps the budgets.
        """
        cheapness = CostTable(self._space)
        for cost, _ in self._costs:
            spread = cost.maximum().value - cost.minimum().value
            cheapness -= (cost * (1.0 / spread if spread else 0.0)).with_unit("")
        cheap = maximise(cheapness, self._budgets).architecture
        found = {name: values.copy() for name, values in point.items()}
        if self.keeps(point):
            return found
        alpha, beta = self.blocks[0], self.blocks[-1]
        nearest = self._simplices(alpha, point).nearest(_flat(point, alpha))
        if nearest is not None:
            return found | self._parts(nearest, alpha)
        for name in alpha:
            if name in cheap:
                choice = self._space.choice(name)
                found[name] = np.eye(choice.num_options)[choice.index(cheap[name])]
        for block in (beta, alpha):
            nearest = self._simplices(block, found).nearest(_flat(point, block))
            assert nearest is not None  # the cheap architecture's options keep every budget
            found |= self._parts(nearest, block)
        return found

    def _simplices(self, block: Sequence[str], point: Mapping[str, Vector]) -> Simplices:
        """What a block may be while the other is as in `point`."""
        rows, limits = [np.zeros((0, sum(len(point[name]) for name in block)))], []
        for cost, limit in self._costs:
            expected, slopes = cost.expected_and_gradient(Distribution(self._space, point))
            row = _flat(slopes, block)
            rows.append(row[None])
            limits.append(limit - (expected - row @ _flat(point, block)))
        sizes = tuple(len(point[name]) for name in block)
        return Simplices(sizes, np.concatenate(rows), np.array(limits))

    def _parts(self, flat: Vector, block: Sequence[str]) -> Point:
        ends = np.cumsum([self._space.choice(name).num_options for name in block])
        return dict(zip(block, np.split(flat, ends[:-1]), strict=True))

    def _require_bilinear(self, budget: Budget, cost: CostTable) -> None:
        deciding: dict[str, set[str]] = {}  # by choice: itself and those that decide whether it is active
        for choice in self._space.choices:
            others = {part.choice for conjunction in choice.condition for part in conjunction}
            deciding[choice.name] = {choice.name}.union(*(deciding[name] for name in others))
        for term in cost.terms:
            together = set[str]().union(*(deciding[name] for name in term.choices))
            for block in self.blocks:
                factors = [repr(name) for name in block if name in together]
                if len(factors) > 1:
                    raise StrategyError(
                        "HardCoReNAS needs costs that are linear in each of its two blocks of choices (those that "
                        f"conditions depend on, and the others); in {budget}, {' and '.join(factors)} multiply. Make "
                        "them one choice, or use another strategy: certified keeps budgets on any cost."
                    )


def _flat(values: Mapping[str, Vector], block: Sequence[str]) -> Vector:
    return np.concatenate([values[name] for name in block])
