"""What a cost adds to the loss of a one-shot search: a pull towards a cost, beside the hard budgets.

With r = cost / baseline - 1 and n = r, max(0, r), min(0, r) or |r|, a loss L becomes L + scale n, or L (1 + n)^scale.
The product with a negative scale, on a reward, is that of Mingxing Tan et al.: "MnasNet: Platform-Aware Neural
Architecture Search for Mobile", CVPR 2019, https://arxiv.org/abs/1807.11626, equations 2 and 3. Only ratios enter, so
that no unit changes a result.

The cost is either that of the architecture a step has sampled, or the *expected* cost under the probabilities: exact,
conditions included, and with its gradient to every probability. E[f(cost)] is not f(E[cost]); here it is f of the
expectation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor

from hwnas.arguments import finite_number
from hwnas.cost import CostTable
from hwnas.errors import BadInputError, ConfigError
from hwnas.profiler import Profiler
from hwnas.space import Distribution, Option, Space
from hwnas.strategy.given import additive_cost, given_profiler

__all__ = [
    "Aggregate",
    "ExpectationProfilerPenalty",
    "Nonlinear",
    "Penalty",
    "SampleProfilerPenalty",
    "check_reward_penalty",
    "expected_cost",
    "require_profiler_of",
]

Nonlinear = Literal["linear", "positive", "negative", "absolute"]
"""n as a function of r: r, max(0, r), min(0, r), |r|."""

Aggregate = Literal["add", "mul"]
"""L + scale n, or L (1 + n)^scale."""


def expected_cost(cost: CostTable, probabilities: Mapping[str, Tensor]) -> Tensor:
    """The expected cost of a random architecture, with its gradient to the probabilities.

    Args:
        cost: the table, in its unit.
        probabilities: by choice, shape (num_options,): of each option, given that its choice is active. On any
            device; every choice of the space.

    Returns:
        A scalar in double precision, on the CPU, in the unit of the cost. Its first derivatives go back to every
        tensor in its own precision and on its own device; there are no second ones.

    Raises:
        SpaceError: a choice that is missing or unknown; probabilities of the wrong shape, or that do not sum to 1.
        BadInputError: a cost without an expectation.
    """
    expectation: Tensor = _ExpectedCost.apply(cost, tuple(probabilities), *probabilities.values())
    return expectation


class _ExpectedCost(torch.autograd.Function):
    """`CostTable.expected_and_gradient` in the graph of PyTorch."""

    @staticmethod
    def forward(ctx: Any, cost: CostTable, names: tuple[str, ...], *probabilities: Tensor) -> Tensor:
        arrays = [tensor.detach().to(device="cpu", dtype=torch.float64).numpy() for tensor in probabilities]
        distribution = Distribution(cost.space, dict(zip(names, arrays, strict=True)))
        expectation, slopes = cost.expected_and_gradient(distribution)
        ctx.slopes = [
            torch.from_numpy(slopes[name]).to(tensor) for name, tensor in zip(names, probabilities, strict=True)
        ]
        return torch.tensor(expectation, dtype=torch.float64)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, *(slope * gradient.to(slope) for slope in ctx.slopes))


class Penalty(Protocol):
    """What a strategy asks to change its loss."""

    def __call__(
        self, loss: Tensor, *, probabilities: Mapping[str, Tensor], architecture: Mapping[str, Option] | None
    ) -> Tensor:
        """The loss that the architecture learns from.

        Args:
            loss: a scalar, or one for every image; of a strategy that maximises a reward, the reward.
            probabilities: by choice, shape (num_options,), with gradient to the strategy's parameters.
            architecture: what the step has sampled; None in a strategy that samples none.
        """
        ...

    def check(self, space: Space, strategy: str) -> None:
        """Refuse, before anything has run, a space that the penalty is not for.

        Args:
            space: that is searched.
            strategy: its name, for the message.
        """
        ...


def check_reward_penalty(penalty: Penalty | None, space: Space, strategy: str) -> None:
    """Refuse a penalty that cannot act on a reward, which is maximised, of sampled architectures.

    Raises:
        ConfigError: a penalty on expected costs, one that favours costs, or one of another space.
    """
    if isinstance(penalty, ExpectationProfilerPenalty):
        raise ConfigError(
            f"The penalty of {strategy} must be on sampled architectures: it has no probabilities by choice from which "
            "a cost could be expected. Use SampleProfilerPenalty."
        )
    if isinstance(penalty, SampleProfilerPenalty) and penalty.scale > 0:
        raise ConfigError(
            f"The `scale` of {strategy}'s penalty must not be above 0: it acts on a reward, which is maximised; got "
            f"{penalty.scale:g}. Use {-penalty.scale:g}."
        )
    if penalty is not None:
        penalty.check(space, strategy)


class ExpectationProfilerPenalty:
    """A penalty on the expected cost, with gradient to the probabilities: for DARTS, FBNet and ProxylessNAS."""

    def __init__(
        self,
        profiler: Profiler,
        baseline: float,
        scale: float = 1.0,
        *,
        nonlinear: Nonlinear = "linear",
        aggregate: Aggregate = "add",
    ) -> None:
        """See the module for the formulas.

        Args:
            profiler: of an additive cost: one with a `CostTable`.
            baseline: the cost at which nothing changes, over 0; in the profiler's unit.
            scale: how much; negative for a reward.
            nonlinear: whether costs above the baseline ("positive"), below it ("negative"), or both count.
            aggregate: whether a multiple is added to the loss, or the loss multiplied by a power.

        Raises:
            ConfigError: a profiler without a table, or of a maximum such as peak memory; another argument that is out
                of range.
        """
        self.profiler = profiler
        self._cost = additive_cost(
            "The profiler of an ExpectationProfilerPenalty",
            profiler,
            instead="Use SampleProfilerPenalty with a strategy that samples architectures",
        )
        self._formula = _Formula(baseline, scale, nonlinear, aggregate)

    def __call__(
        self, loss: Tensor, *, probabilities: Mapping[str, Tensor], architecture: Mapping[str, Option] | None = None
    ) -> Tensor:
        """The penalised loss, on the device and in the precision of `loss`; see `Penalty`.

        Raises:
            SpaceError: as `expected_cost`.
            BadInputError: an expectation of 0 or less, to be multiplied with.
        """
        return self._formula(loss, expected_cost(self._cost, probabilities))

    def check(self, space: Space, strategy: str) -> None:
        """Refuse another space than the profiler's.

        Raises:
            ConfigError: the profiler is of another space.
        """
        require_profiler_of(self.profiler, space, what="penalty", strategy=strategy)


class SampleProfilerPenalty:
    """A penalty on the cost of the sampled architecture; for any profiler, and for ENAS's reward.

    It is a number: of use where the sample itself is what is learned from, as by REINFORCE. There is no gradient
    through the cost.

    Attributes:
        profiler: as given.
        scale: as given, so that a strategy that maximises a reward can refuse one that would favour costs.
    """

    def __init__(
        self,
        profiler: Profiler,
        baseline: float,
        scale: float = 1.0,
        *,
        nonlinear: Nonlinear = "linear",
        aggregate: Aggregate = "add",
    ) -> None:
        """See `ExpectationProfilerPenalty`; the profiler needs no table here.

        Raises:
            ConfigError: a profiler without a method `profile`, or another argument that is out of range.
        """
        self.profiler = given_profiler("`profiler` of a SampleProfilerPenalty", profiler)
        self.scale = scale
        self._formula = _Formula(baseline, scale, nonlinear, aggregate)

    def __call__(
        self, loss: Tensor, *, probabilities: Mapping[str, Tensor], architecture: Mapping[str, Option] | None
    ) -> Tensor:
        """The penalised loss, on the device and in the precision of `loss`; see `Penalty`.

        Raises:
            ConfigError: nothing was sampled.
            BadInputError: a cost that is no finite number, or one of 0 or less to be multiplied with.
        """
        if architecture is None:
            raise ConfigError(
                "SampleProfilerPenalty needs an architecture that was sampled, and this strategy samples none. Use "
                "ExpectationProfilerPenalty."
            )
        return self._formula(loss, torch.tensor(float(self.profiler.profile(architecture)), dtype=torch.float64))

    def check(self, space: Space, strategy: str) -> None:
        """Refuse another space than the profiler's, where it says which that is.

        Raises:
            ConfigError: the profiler is of another space.
        """
        require_profiler_of(self.profiler, space, what="penalty", strategy=strategy)


def require_profiler_of(profiler: object, space: Space, *, what: str, strategy: str) -> None:
    """Refuse a profiler of another space; one that does not say whose it is passes.

    Args:
        profiler: any.
        space: that is searched.
        what: has the profiler, for the message.
        strategy: the name of the one that searches, for the message.

    Raises:
        ConfigError: the profiler's `space`, or that of its table, is another one.
    """
    for owner in (getattr(profiler, "cost", None), profiler):
        own = getattr(owner, "space", None)
        if isinstance(own, Space) and own != space:
            differing = sorted(set(own.names) ^ set(space.names))
            difference = f"; only one of the two has {', '.join(map(repr, differing[:5]))}" if differing else ""
            raise ConfigError(
                f"The {what} of {strategy} must have a profiler of the space that is searched; its "
                f"{type(profiler).__name__} is of another one{difference}. Make the profiler from this space."
            )


class _Formula:
    """The loss with a cost in it; the arguments are those of the penalties."""

    def __init__(self, baseline: float, scale: float, nonlinear: Nonlinear, aggregate: Aggregate) -> None:
        if nonlinear not in get_args(Nonlinear):
            raise ConfigError(f"`nonlinear` must be one of {', '.join(get_args(Nonlinear))}; got {nonlinear!r}.")
        if aggregate not in get_args(Aggregate):
            raise ConfigError(f"`aggregate` must be one of {', '.join(get_args(Aggregate))}; got {aggregate!r}.")
        self.baseline = finite_number("baseline", baseline, above=0, otherwise="in the profiler's unit")
        self.scale = finite_number("scale", scale)
        self.nonlinear = nonlinear
        self.aggregate = aggregate

    def __call__(self, loss: Tensor, cost: Tensor) -> Tensor:
        normalised = self.normalised(cost)
        if self.aggregate == "add":
            return loss + (self.scale * normalised).to(loss)
        if not normalised > -1:
            raise BadInputError(
                f"With `aggregate` mul the cost must be over 0; it is {cost.item():g}. Use `aggregate` add."
            )
        return loss * ((1 + normalised) ** self.scale).to(loss)

    def normalised(self, cost: Tensor) -> Tensor:
        """The n of the formulas."""
        if not cost.isfinite():
            raise BadInputError(f"A cost must be a finite number; the profiler gave {cost.item()}.")
        relative = cost / self.baseline - 1
        if self.nonlinear == "positive":
            return relative.clamp(min=0)
        if self.nonlinear == "negative":
            return relative.clamp(max=0)
        return relative.abs() if self.nonlinear == "absolute" else relative
