import numpy as np
import pytest

from hwnas.errors import ConfigError
from hwnas.strategy.regression import fit_utility, neighbouring_pairs
from tests.strategy.planted import planted_space, random_table

SPACE = planted_space(2)


def drawn(num, seed):
    return SPACE.sample_codes(num, np.random.default_rng(seed))


def test_recovers_a_planted_utility():
    truth = random_table(SPACE, 1, positive=False)
    codes = drawn(400, 0)
    scores = truth.values(codes) + np.random.default_rng(1).normal(0.0, 0.1, len(codes))
    estimate = fit_utility(SPACE, codes, scores)
    fresh = drawn(300, 2)
    residual = estimate.table.values(fresh) - truth.values(fresh)
    assert np.corrcoef(estimate.table.values(fresh), truth.values(fresh))[0, 1] > 0.999
    assert estimate.noise == pytest.approx(0.1, rel=0.2)
    assert np.abs(residual).mean() < 0.1


def test_standard_errors_are_those_of_the_residuals():
    truth = random_table(SPACE, 3, positive=False)
    ratios = []
    for seed in range(30):
        codes = drawn(60, seed)
        scores = truth.values(codes) + np.random.default_rng(seed).normal(0.0, 0.5, len(codes))
        estimate = fit_utility(SPACE, codes, scores)
        fresh = drawn(200, 1000 + seed)
        error = estimate.table.values(fresh) - truth.values(fresh)
        ratios.append(np.mean(error**2) / np.mean(estimate.standard_errors(fresh) ** 2))
    assert 0.5 < np.median(ratios) < 2.0


def test_leave_one_out_in_closed_form_equals_refitting():
    truth = random_table(SPACE, 3, positive=False)
    codes = drawn(25, 0)
    scores = truth.values(codes) + np.random.default_rng(0).normal(0.0, 1.0, len(codes))
    estimate = fit_utility(SPACE, codes, scores)
    errors = []
    for left_out in range(len(codes)):
        kept = np.arange(len(codes)) != left_out
        refit = _ridge(codes[kept], scores[kept], estimate.penalty)
        errors.append(scores[left_out] - refit(codes[left_out : left_out + 1])[0])
    assert estimate.noise == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-6)


def _ridge(codes, scores, penalty):
    def features(rows):
        columns = []
        for c, choice in enumerate(SPACE.choices):
            slot = np.where(rows[:, c] < 0, choice.num_options, rows[:, c])
            columns.append(np.eye(choice.num_options + 1)[slot])
        return np.hstack(columns)

    x = features(codes)
    mean_x, mean_y = x.mean(axis=0), scores.mean()
    z = x - mean_x
    theta = np.linalg.solve(z.T @ z + penalty * np.eye(z.shape[1]), z.T @ (scores - mean_y))
    return lambda rows: mean_y + (features(rows) - mean_x) @ theta


def test_priors_help_when_scores_are_few():
    prior = random_table(SPACE, 5, positive=True)
    codes, fresh = drawn(12, 0), drawn(300, 1)
    scores = 3.0 * prior.values(codes)
    errors = [
        np.abs(fit_utility(SPACE, codes, scores, priors=p).table.values(fresh) - 3.0 * prior.values(fresh)).mean()
        for p in ((prior,), ())
    ]
    assert errors[0] < 0.1 * errors[1]


def test_pairs_fit_an_interaction():
    codes, fresh = drawn(600, 0), drawn(300, 1)

    def truth(rows):
        return ((rows[:, 0] == rows[:, 1]) * 5.0).astype(float)

    errors = [
        np.abs(fit_utility(SPACE, codes, truth(codes), pairs=pairs).table.values(fresh) - truth(fresh)).mean()
        for pairs in (neighbouring_pairs(SPACE), ())
    ]
    assert errors[0] < 0.2 * errors[1]


def test_weights_make_precise_scores_count():
    truth = random_table(SPACE, 1, positive=False)
    codes = drawn(200, 0)
    sigma = np.where(np.arange(200) % 2, 0.05, 5.0)
    scores = truth.values(codes) + np.random.default_rng(1).normal(0.0, sigma)
    fresh = drawn(300, 2)
    errors = [
        np.abs(fit_utility(SPACE, codes, scores, weights=w).table.values(fresh) - truth.values(fresh)).mean()
        for w in (1.0 / sigma**2, None)
    ]
    assert errors[0] < 0.5 * errors[1]


def test_bad_scores():
    with pytest.raises(ConfigError, match="at least 2 scored architectures; got 1"):
        fit_utility(SPACE, drawn(1, 0), np.zeros(1))
    with pytest.raises(ConfigError, match="not finite"):
        fit_utility(SPACE, drawn(3, 0), np.array([0.0, np.nan, 1.0]))


def test_draws_are_distributed_as_the_standard_errors_say():
    truth = random_table(SPACE, 1, positive=False)
    codes, fresh = drawn(60, 0), drawn(5, 1)
    estimate = fit_utility(SPACE, codes, truth.values(codes) + np.random.default_rng(1).normal(0.0, 0.5, 60))
    rng = np.random.default_rng(2)
    draws = np.array([estimate.draw(rng).values(fresh) for _ in range(4000)])
    errors = estimate.standard_errors(fresh)
    assert draws.std(axis=0) == pytest.approx(errors, rel=0.05)  # 4000 draws: 1.1 % of standard error
    assert np.abs(draws.mean(axis=0) - estimate.table.values(fresh)).max() < 5 * errors.max() / 4000**0.5
    assert estimate.draw(rng, spread=0.0).values(fresh) == pytest.approx(estimate.table.values(fresh))
