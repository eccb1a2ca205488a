"""A utility regressed on the choices: ridge regression in closed form, with standard errors.

The features of an architecture are one indicator for every option of every choice and one for
"inactive" (optionally for the options of pairs of neighbouring choices too), and a few *prior
features*: cost tables such as MACs and parameters, which rank small networks better than a
briefly trained supernet does. All of them are additive, so the fitted utility is a `CostTable`
and can be maximised exactly.

    y = intercept + sum_j gamma_j prior_j + sum_c theta[c, option] + noise

Indicators share the ridge penalty lambda; the standardised prior features are penalised
`_PRIOR_SHRINKAGE` times as much, so that they explain what they can and the indicators what is
left. Lambda minimises the leave-one-out error, which has a closed form (Golub, Heath, Wahba 1979).
The covariance is that of the equivalent Bayesian linear model with prior precision lambda.

Legend: N samples, F features.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwnas.cost import CostTable, Term
from hwnas.errors import ConfigError
from hwnas.space import Space

__all__ = ["UtilityEstimate", "fit_utility", "neighbouring_pairs"]

_PRIOR_SHRINKAGE = 0.01
_LAMBDAS = np.logspace(-3, 4, 29)

Codes = NDArray[np.integer]
Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class UtilityEstimate:
    """A fitted utility.

    Attributes:
        table: the utility, larger is better, in the unit of the regressed scores.
        noise: standard deviation of one score around the fit (leave-one-out), same unit.
        penalty: the ridge penalty lambda that was chosen.
        num_samples: N.
    """

    table: CostTable
    noise: float
    penalty: float
    num_samples: int
    _design: _Design
    _mean_F: Floats
    _coefficients_F: Floats
    _intercept: float
    _covariance_FF: Floats

    def draw(self, rng: np.random.Generator, *, spread: float = 1.0) -> CostTable:
        """A utility that is as plausible as its posterior probability: coefficients drawn from their distribution.

        Args:
            rng: draws them.
            spread: factor on their standard deviations; with 0 it is `table`.
        """
        deviation_F = spread * (self._root_FF @ rng.standard_normal(len(self._mean_F)))
        # Relative to the mean architecture, whose utility is known best.
        return self._design.table(
            self._coefficients_F + deviation_F, self._intercept - float(self._mean_F @ deviation_F)
        )

    @functools.cached_property
    def _root_FF(self) -> Floats:
        """R with R R' = the covariance."""
        values_F, vectors_FF = np.linalg.eigh(self._covariance_FF)
        root_FF: Floats = vectors_FF * np.sqrt(np.maximum(values_F, 0.0))
        return root_FF

    def standard_errors(self, codes: Codes) -> Floats:
        """Standard error of the estimated utility of each architecture; codes (n, num_choices) -> (n,).

        Beside that of the intercept, which is the same for all: it is the error of comparisons.
        """
        x_NF = self._design.features(codes) - self._mean_F
        variances_N: Floats = np.einsum("nf,fg,ng->n", x_NF, self._covariance_FF, x_NF)
        return np.sqrt(np.maximum(variances_N, 0.0))


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Design:
    """How codes become features: standardised priors first, then the indicators of every group of choices."""

    space: Space
    priors: tuple[CostTable, ...]
    groups: tuple[tuple[int, ...], ...]
    prior_means: Floats
    prior_scales: Floats

    def shape(self, group: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self.space.choices[c].num_options + 1 for c in group)

    def features(self, codes: Codes) -> Floats:
        """Codes (N, num_choices) -> features (N, F)."""
        columns = [
            ((prior.values(codes) - mean) / scale)[:, None]
            for prior, mean, scale in zip(self.priors, self.prior_means, self.prior_scales, strict=True)
        ]
        for group in self.groups:
            shape = self.shape(group)
            wrapped = [np.where(codes[:, c] < 0, n - 1, codes[:, c]) for c, n in zip(group, shape, strict=True)]
            indicator = np.zeros((len(codes), int(np.prod(shape))))
            indicator[np.arange(len(codes)), np.ravel_multi_index(wrapped, shape)] = 1.0
            columns.append(indicator)
        return np.hstack(columns)

    def table(self, coefficients_F: Floats, intercept: float) -> CostTable:
        """The linear model as a utility table."""
        num_priors = len(self.priors)
        gammas = coefficients_F[:num_priors] / self.prior_scales
        terms, start = [], num_priors
        for group in self.groups:
            shape = self.shape(group)
            stop = start + int(np.prod(shape))
            names = tuple(self.space.choices[c].name for c in group)
            terms.append(Term(names, coefficients_F[start:stop].reshape(shape)))
            start = stop
        table = CostTable(self.space, intercept - float(gammas @ self.prior_means), terms)
        for gamma, prior in zip(gammas, self.priors, strict=True):
            table = table + prior.with_unit("") * float(gamma)
        return table


def neighbouring_pairs(space: Space) -> tuple[tuple[int, int], ...]:
    """Positions of consecutive choices of the space: the candidates for pairwise terms."""
    return tuple((c, c + 1) for c in range(len(space.choices) - 1))


def fit_utility(
    space: Space,
    codes: Codes,
    scores: Floats,
    *,
    weights: Floats | None = None,
    priors: Sequence[CostTable] = (),
    pairs: Sequence[tuple[int, int]] = (),
) -> UtilityEstimate:
    """Regress scores on the choices of the architectures that got them.

    Args:
        space: the space of the architectures.
        codes: encoded architectures, shape (N, num_choices).
        scores: larger is better, shape (N,).
        weights: relative precision (one over the variance) of each score, shape (N,).
        priors: additive costs used as features beside the choices.
        pairs: positions of choices that get a joint table.

    Raises:
        ConfigError: fewer than two scores, or one that is not finite.
    """
    if len(codes) < 2:
        raise ConfigError(f"A utility needs at least 2 scored architectures; got {len(codes)}.")
    if not np.all(np.isfinite(scores)):
        raise ConfigError("A score that is not finite cannot be regressed; the evaluator must return numbers.")
    prior_values = np.array([prior.values(codes) for prior in priors]).reshape(len(priors), len(codes))
    scales = prior_values.std(axis=1)
    design = _Design(
        space=space,
        priors=tuple(priors),
        groups=tuple((c,) for c in range(len(space.choices))) + tuple(pairs),
        prior_means=prior_values.mean(axis=1),
        prior_scales=np.where(scales > 0.0, scales, 1.0),
    )
    x_NF = design.features(codes)
    shrinkage_F = np.ones(x_NF.shape[1])
    shrinkage_F[: len(priors)] = _PRIOR_SHRINKAGE
    weights_N = np.ones(len(codes)) if weights is None else weights / weights.mean()
    root_N = np.sqrt(weights_N)

    # Weighted, centred, and with features scaled so that the penalty is the same for all of them.
    mean_F = weights_N @ x_NF / weights_N.sum()
    mean = float(weights_N @ scores / weights_N.sum())
    z_NF = root_N[:, None] * (x_NF - mean_F) / np.sqrt(shrinkage_F)
    t_N = root_N * (scores - mean)
    u_NK, s_K, vt_KF = np.linalg.svd(z_NF, full_matrices=False)
    projected_K = u_NK.T @ t_N

    def leave_one_out(penalty: float) -> Floats:
        shrunk_K = s_K**2 / (s_K**2 + penalty)
        leverage_N = (u_NK**2) @ shrunk_K + root_N**2 / weights_N.sum()  # the intercept's own leverage
        residual_N = t_N - u_NK @ (shrunk_K * projected_K)
        errors_N: Floats = residual_N / np.maximum(1.0 - leverage_N, 1e-6)
        return errors_N

    errors = [float(np.mean(leave_one_out(penalty) ** 2)) for penalty in _LAMBDAS]
    best = int(np.argmin(errors))
    penalty, variance = float(_LAMBDAS[best]), errors[best]

    coefficients_F = (vt_KF.T @ (s_K / (s_K**2 + penalty) * projected_K)) / np.sqrt(shrinkage_F)
    # (Z'Z + penalty I)^-1 by the SVD: directions outside of its row space keep the prior's 1/penalty.
    covariance_FF = (vt_KF.T * (1.0 / (s_K**2 + penalty) - 1.0 / penalty)) @ vt_KF
    covariance_FF[np.diag_indices_from(covariance_FF)] += 1.0 / penalty
    root_shrinkage_F = np.sqrt(shrinkage_F)
    covariance_FF = variance * covariance_FF / np.outer(root_shrinkage_F, root_shrinkage_F)
    intercept = mean - float(mean_F @ coefficients_F)
    return UtilityEstimate(
        table=design.table(coefficients_F, intercept),
        noise=float(np.sqrt(variance)),
        penalty=penalty,
        num_samples=len(codes),
        _design=design,
        _mean_F=mean_F,
        _coefficients_F=coefficients_F,
        _intercept=intercept,
        _covariance_FF=covariance_FF,
    )
