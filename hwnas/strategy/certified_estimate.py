"""What certified search knows of the utility: the scores it was told, the regression on them, and how good that is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau

from hwnas.cost import CostTable
from hwnas.space import Architecture, Space
from hwnas.strategy.history import History
from hwnas.strategy.regression import UtilityEstimate, fit_utility, neighbouring_pairs

__all__ = ["EstimateQuality", "ScoredUtility"]

_NUM_RESAMPLES = 500


@dataclasses.dataclass(frozen=True, kw_only=True)
class EstimateQuality:
    """What the certificate cannot say: how far the estimated utility can be believed.

    Attributes:
        kendall_tau: rank correlation of the estimate with held-out full evaluations (minus the loss, or the score
            where exploring ones are evaluated in full as well).
        kendall_tau_standard_error: by bootstrap over the held-out architectures; None where there are fewer than
            three, because the budgets leave no more.
        kendall_tau_of_priors: the same for each prior cost alone, the simple rivals.
        num_held_out: architectures behind the taus.
        num_samples: scores behind the regression.
        noise: standard deviation of one score around the fit.
        standard_error: of the optimum's utility, relative to an average architecture's.
        uses_pairs: whether tables of neighbouring choices improved the held-out tau and were kept.
        probability_best: bootstrap probability that the architecture handed on has the highest score
            of the evaluated feasible ones; None where fewer than two were evaluated alike.
    """

    kendall_tau: float
    kendall_tau_standard_error: float | None
    kendall_tau_of_priors: Mapping[str, float]
    num_held_out: int
    num_samples: int
    noise: float
    standard_error: float
    uses_pairs: bool
    probability_best: float | None


class ScoredUtility:
    """An additive utility of a space, regressed on scores.

    Args:
        space: of the architectures.
        priors: additive costs, by name, given to the regression as features.
        by_batch: whether the exploring scores are of one batch each, and so minus a loss beside a teacher's; else they
            are full evaluations like all others.
        seed: of the bootstrap.

    Attributes:
        explored: architectures and their exploring scores.
        held_out: architectures whose full evaluations the regression is judged by, and does not see while it is.
        full: the full evaluations, these and all others.
    """

    def __init__(self, space: Space, priors: Mapping[str, CostTable], *, by_batch: bool, seed: int) -> None:
        self._space = space
        self._priors = priors
        self._by_batch = by_batch
        self._seed = seed
        self.explored: list[tuple[Architecture, float]] = []
        self.held_out: tuple[Architecture, ...] = ()
        self.full = History(space)
        self._cached: tuple[tuple[int, int], UtilityEstimate, bool] | None = None

    @property
    def has_estimate(self) -> bool:
        """Whether enough was explored for an estimate: budgets may leave one architecture, and evaluations fail."""
        return len(self.explored) > 1

    def estimate(self) -> UtilityEstimate:
        """The regression on all scores told so far.

        Raises:
            ConfigError: there is none (`has_estimate`).
        """
        return self._fit()[0]

    def quality(self, architecture: Architecture, *, probability_best: float | None) -> EstimateQuality:
        """How good the estimate behind `architecture` is; the probability is handed on."""
        estimate, uses_pairs = self._fit()
        told = self._told()
        values = self._values(told)
        codes = self._space.encode(told)
        judged = self._regress(with_full=False, pairs=uses_pairs).table.values(codes)
        rng = np.random.default_rng([self._seed, 3])
        draws = [rng.integers(len(told), size=len(told)) for _ in range(_NUM_RESAMPLES if told else 0)]
        taus = [_tau(judged[draw], values[draw]) for draw in draws if len(set(draw.tolist())) > 2]
        return EstimateQuality(
            kendall_tau=_tau(judged, values),
            kendall_tau_standard_error=float(np.std(taus)) if taus else None,
            kendall_tau_of_priors={n: _tau(prior.values(codes), values) for n, prior in self._priors.items()},
            num_held_out=len(told),
            num_samples=estimate.num_samples,
            noise=estimate.noise,
            standard_error=float(estimate.standard_errors(self._space.encode([architecture]))[0]),
            uses_pairs=uses_pairs,
            probability_best=probability_best,
        )

    def _told(self) -> list[Architecture]:
        """The held-out architectures whose evaluation is known."""
        return [architecture for architecture in self.held_out if architecture in self.full]

    def _fit(self) -> tuple[UtilityEstimate, bool]:
        """The regression on all scores, with pairwise tables if those improve the held-out tau."""
        told = (len(self.explored), len(self.full))
        if self._cached is None or self._cached[0] != told:
            pairs = False
            held_out = self._told()
            if len(held_out) > 3 and len(self._space.choices) > 1:
                values, codes = self._values(held_out), self._space.encode(held_out)
                taus = [
                    _tau(self._regress(with_full=False, pairs=p).table.values(codes), values) for p in (False, True)
                ]
                pairs = taus[1] > taus[0]
            self._cached = (told, self._regress(with_full=True, pairs=pairs), pairs)
        return self._cached[1], self._cached[2]

    def _regress(self, *, with_full: bool, pairs: bool) -> UtilityEstimate:
        """Ridge on the batch scores, and on the full ones moved to the same origin, each by its precision.

        Where all are full, they are alike.
        """
        joint = neighbouring_pairs(self._space) if pairs else ()
        priors = list(self._priors.values())
        full = [architecture for architecture, _ in self.full.feasible(())]
        if not self._by_batch and with_full:
            return fit_utility(self._space, self._space.encode(full), self._values(full), priors=priors, pairs=joint)
        codes = self._space.encode([architecture for architecture, _ in self.explored])
        scores = np.array([score for _, score in self.explored])
        estimate = fit_utility(self._space, codes, scores, priors=priors, pairs=joint)
        if not with_full or len(full) < 3:
            return estimate
        full_codes = self._space.encode(full)
        residuals = self._values(full) - estimate.table.values(full_codes)
        offset = float(residuals.mean())
        variance = float(residuals.var()) + 1e-12
        weights = np.concatenate(
            [np.full(len(codes), 1.0 / (estimate.noise**2 + 1e-12)), np.full(len(full), 1.0 / variance)]
        )
        return fit_utility(
            self._space,
            np.concatenate([codes, full_codes]),
            np.concatenate([scores, self._values(full) - offset]),
            weights=weights,
            priors=priors,
            pairs=joint,
        )

    def _values(self, architectures: Sequence[Architecture]) -> NDArray[np.float64]:
        """What the utility estimates, of full evaluations: the score, or beside batches, which score losses, these."""
        outcomes = [self.full.outcome(architecture) for architecture in architectures]
        return np.array(
            [-o.loss if self._by_batch and not np.isnan(o.loss) else o.score for o in outcomes if o is not None]
        )


def _tau(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Kendall's tau-b; 0 where one side is constant or of one number."""
    if len(a) < 2:
        return 0.0
    tau = float(kendalltau(a, b).statistic)
    return tau if np.isfinite(tau) else 0.0
