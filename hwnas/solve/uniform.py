"""Drawing uniformly among the architectures that keep hard budgets, however rare they are.

One budget is counted: the choices are decided one after the other (`hwnas.space.layers`), and for every state and
every amount of the budget that is left, on a grid, the number of completions is known, counted from the end. Costs are
rounded down onto the grid, so that what is counted contains all that keeps the budget, and a little that does not; a
walk from the beginning draws uniformly from it, and what exceeds the budget is rejected: what remains is exactly
uniform (to the rounding of double precision), with few rejections. Costs are taken as the excess over the cheapest
completion, so that the whole grid lies between the least cost of all and the limit.

Of very many choices the rounding adds up: among hundreds, nearly all that is counted would exceed the budget. There an
option weighs exp(-t x) where it takes the share x of what there is between least cost and limit, which draws cheaper
architectures more often, and one that takes the share y altogether is accepted with the probability exp(-t (1 - y)):
again exactly uniform. t follows from Chernoff's bound on how many there are. With one budget, five standard deviations
below the mean (one in a million), 1,000 choices of four take 2.5 s to prepare and 7 ms a draw, on one core.

The other budgets are kept by rejection, which stops and reports where they are too rare among the first one's.

S states, n options of a choice, B grid points, N draws.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from hwnas.cost import Budget, CostTable, format_quantity, rows_within
from hwnas.errors import BudgetError, SpaceError
from hwnas.solve.maximise import maximise
from hwnas.space import INACTIVE, Space
from hwnas.space.layers import Layer, decide

__all__ = ["UniformSampler"]

_BATCH_SIZE = 4096
_MAX_DRAWS = 32 * _BATCH_SIZE
_ENOUGH = 1 / 64
"""Where this part of all architectures keeps the budgets, drawing from all of them and rejecting is quick enough."""

_MAX_POINTS = 4096
_MIN_POINTS = 64
_MAX_CELLS = 8_000_000
"""Of all layers' counts together, 64 MB."""


class UniformSampler:
    """Draws from the architectures that keep every budget, each equally likely.

    Args:
        space: what may vary.
        budgets: hard limits over that space.

    Raises:
        InfeasibleError: no architecture keeps the budgets; it names the least achievable.
        SpaceError: conditions that depend on too many choices at once.
    """

    def __init__(self, space: Space, budgets: Sequence[Budget] = ()) -> None:
        self.space = space
        self.budgets = tuple(budgets)
        self._counted: _CountedBudget | None = None
        rng = np.random.default_rng(0)
        kept = rows_within(space.sample_codes(_BATCH_SIZE, rng), self.budgets)
        if kept.mean() < _ENOUGH:
            counted = [_counted(budget) for budget in self.budgets]
            self._counted = min(filter(None, counted), key=lambda one: one.log_fraction, default=None)
        if not kept.any() and (self._counted is None or not self._drawn(_BATCH_SIZE, rng)[1].any()):
            maximise(CostTable(space, 0.0, ()), self.budgets)  # or it says that there is none

    def sample_codes(self, num: int, rng: np.random.Generator) -> NDArray[np.int32]:
        """`num` encoded architectures, (num, num_choices).

        Raises:
            BudgetError: of very many draws none keeps all budgets together; the message names the least of each cost.
        """
        found = [np.empty((0, len(self.space.choices)), dtype=np.int32)]
        missing, num_drawn = num, 0
        least = np.full(len(self.budgets), np.inf)
        in_vain = 0
        while missing > 0:
            draws_for_one = max(1, num_drawn // (num - missing + 1))
            size = min(_BATCH_SIZE, max(64, 2 * missing * draws_for_one))
            drawn, accepted = self._drawn(size, rng)
            kept = drawn[accepted][:missing]
            found.append(kept)
            missing -= len(kept)
            num_drawn += size
            in_vain = 0 if len(kept) else in_vain + size
            if in_vain:
                least = np.minimum(least, [budget.cost.values(drawn).min() for budget in self.budgets])
            if in_vain >= _MAX_DRAWS:
                raise self._too_rare(in_vain, least)
        return np.concatenate(found)

    def _drawn(self, num: int, rng: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Codes, (num, num_choices), and which of them are accepted, uniformly among those that keep the budgets."""
        if self._counted is None:
            drawn = self.space.sample_codes(num, rng)
            return drawn, rows_within(drawn, self.budgets)
        drawn, accepted = self._counted.sample(num, rng)
        return drawn, accepted & rows_within(drawn, self.budgets)

    def _too_rare(self, num_drawn: int, least: NDArray[np.float64]) -> BudgetError:
        within = "the whole space" if self._counted is None else str(self._counted.budget)
        nearest = "; ".join(
            f"{budget.profiler} at least {format_quantity(value, budget.unit)}, limit "
            f"{format_quantity(budget.limit, budget.unit)}"
            for budget, value in zip(self.budgets, least, strict=True)
        )
        return BudgetError(
            f"Architectures that keep {', '.join(map(str, self.budgets))} together are too rare to be drawn: none of "
            f"{num_drawn:,} draws from {within} does. Among them were {nearest}. Raise a limit, or take "
            "a strategy that solves for the budgets, such as certified."
        )


def _counted(budget: Budget) -> _CountedBudget | None:
    """None for costs that are no sum, and for choices coupled so tightly that there would be too many states."""
    cost = budget.cost
    if not isinstance(cost, CostTable) or not all(np.isfinite(term.values).all() for term in cost.terms):
        return None
    conditions = cost.space.coded_conditions
    terms = [(tuple(cost.space.position(name) for name in term.choices), term.values) for term in cost.terms]
    try:
        layers = list(decide([choice.num_options for choice in cost.space.choices], conditions, terms))
    except SpaceError:
        return None
    num_points = min(_MAX_POINTS, _MAX_CELLS // sum(len(layer.active) for layer in layers))
    return _CountedBudget(budget, cost.constant, layers, num_points) if num_points >= _MIN_POINTS else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class _CountedLayer:
    """A choice with what a walk needs: where each option leads, how many grid points it takes, what is left to count.

    Attributes:
        position: the choice's.
        following: as of `Layer`, (S, n + 1).
        points: taken by each option, (S, n + 1); more than the grid has where it is not allowed.
        shares: taken by each option of what there is between least cost and limit, (S, n + 1).
        weights: of each option, (S, n + 1), falling with its share; 1 where nothing is weighed.
        counts: completions of the *next* states with at most so many points, (S', B + 1), weighed, to a common factor.
    """

    position: int
    following: NDArray[np.intp]
    points: NDArray[np.intp]
    shares: NDArray[np.float64]
    weights: NDArray[np.float64]
    counts: NDArray[np.float64]


class _CountedBudget:
    """How many architectures there are within a budget, on a grid that rounds every cost down.

    Attributes:
        budget: the budget.
        log_fraction: of all architectures of the space, at most.
    """

    def __init__(self, budget: Budget, constant: float, layers: Sequence[Layer], num_points: int) -> None:
        self.budget = budget
        self._num_points = num_points
        self._num_choices = len(layers)
        least = [np.zeros(1)]  # of any completion, for each layer's states, from the end
        for layer in reversed(layers):
            least.append((layer.costs + least[-1][layer.following]).min(axis=1))
        least.reverse()
        magnitude = abs(budget.limit) + abs(constant) + sum(_magnitude(layer.costs) for layer in layers)
        rounding = 1e-14 * magnitude  # more than what sums in another order differ by
        slack = max(budget.limit - constant - float(least[0][0]), 0.0) + rounding
        shares = []
        for layer, own, later in zip(layers, least[:-1], least[1:], strict=True):
            excess = layer.costs + later[layer.following] - own[:, None]
            share = np.clip(excess - rounding, 0.0, slack) / (slack or 1.0)  # without slack no cost differs
            shares.append(np.where(excess > slack, np.inf, share))
        self._tilt = _tilt(layers, shares, num_points)
        counts = np.ones((1, num_points + 1))
        log_count = self._tilt
        walked = []
        for layer, share in zip(reversed(layers), reversed(shares), strict=True):
            allowed = share < np.inf
            points = np.full(share.shape, num_points + 1, dtype=np.intp)
            points[allowed] = np.floor(share[allowed] * num_points)
            weights = np.exp(-self._tilt * np.where(allowed, share, 0.0))
            walked.append(
                _CountedLayer(
                    position=layer.position,
                    following=layer.following,
                    points=points,
                    shares=share,
                    weights=weights,
                    counts=counts,
                )
            )
            counts = _sums(layer.following, points, weights, counts)
            largest = counts.max()
            counts /= largest
            log_count += math.log(largest)
        self._layers = walked[::-1]
        self.log_fraction = min(0.0, log_count + math.log(counts[0, -1]) - math.log(budget.cost.space.size))

    def sample(self, num: int, rng: np.random.Generator) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """`num` codes, (num, num_choices), and which of them are accepted; these are uniform over what was counted.

        All that keeps the budget was counted. What takes more than its share of 1 does not, and may be accepted too.
        """
        codes = np.empty((num, self._num_choices), dtype=np.int32, order="F")
        state = np.zeros(num, dtype=np.intp)
        left = np.full(num, self._num_points)
        taken = np.zeros(num)
        each = np.arange(num)
        for layer in self._layers:
            following, points = layer.following[state], layer.points[state]  # (num, n + 1)
            after = left[:, None] - points
            weights = np.where(after >= 0, layer.counts[following, np.maximum(after, 0)], 0.0)
            weights *= layer.weights[state]
            cumulative = weights.cumsum(axis=1)
            draws = rng.random(num) * np.nextafter(cumulative[:, -1], 0.0)  # below the sum, also when rounded
            slots = (cumulative > draws[:, None]).argmax(axis=1)
            codes[:, layer.position] = np.where(slots == weights.shape[1] - 1, INACTIVE, slots)
            taken += layer.shares[state, slots]
            state, left = following[each, slots], after[each, slots]
        if not self._tilt:
            return codes, np.ones(num, dtype=np.bool_)
        return codes, rng.random(num) < np.exp(self._tilt * np.minimum(taken - 1.0, 0.0))


def _tilt(layers: Sequence[Layer], shares: Sequence[NDArray[np.float64]], num_points: int) -> float:
    """t of the weights exp(-t x): 0 where the rounding of all choices together does not matter.

    Untilted, the number of architectures grows like exp(T y) around the limit y = 1, where T minimises Chernoff's bound
    exp(T) sum_a exp(-T y(a)) on how many keep it. Rounding lets the walk past the limit by m = num_choices / (2 B), so
    that exp((T - t) m) / (1 - t / T) draws are needed for one: least at t = T - 1 / m.
    """
    negligible = 2.0 * num_points / len(layers)

    def log_bound(tilt: float) -> float:
        logs = np.zeros(1)
        for layer, share in zip(reversed(layers), reversed(shares), strict=True):
            weights = np.where(share < np.inf, -tilt * np.minimum(share, 1.0), -np.inf)
            logs = np.logaddexp.reduce(weights + logs[layer.following], axis=1)
        return float(logs[0]) + tilt

    largest = log_bound(0.0)  # T is at most this
    if largest <= negligible:
        return 0.0
    best = minimize_scalar(log_bound, bounds=(0.0, largest), method="bounded", options={"xatol": 0.5}).x
    return max(0.0, float(best) - negligible)


def _sums(
    following: NDArray[np.intp], points: NDArray[np.intp], weights: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For every state and number of points left, the weighed completions by all options together, (S, B + 1)."""
    sums = np.zeros((len(following), counts.shape[1]))
    for state, slot in zip(*np.nonzero(points < counts.shape[1]), strict=True):
        taken = points[state, slot]
        sums[state, taken:] += weights[state, slot] * counts[following[state, slot], : counts.shape[1] - taken]
    return sums


def _magnitude(values: NDArray[np.float64]) -> float:
    return float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
