import numpy as np
import pytest
from scipy import stats

from hwnas.cost import Budget, CostTable, MaxTable, Term
from hwnas.errors import BudgetError, InfeasibleError
from hwnas.solve import UniformSampler
from hwnas.space import Choice, Space
from tests.solve.random_problems import kept, random_problem, random_space, random_table, stages


def assert_uniform(sampler: UniformSampler, feasible: np.ndarray, *, seed: int = 0, each: int = 60) -> None:
    """Draws are feasible, and as often each of them as chance allows (chi-square, p > 1e-5)."""
    num = each * len(feasible)
    drawn = sampler.sample_codes(num, np.random.default_rng(seed))
    assert drawn.shape == (num, feasible.shape[1])
    places = {row.tobytes(): number for number, row in enumerate(feasible.astype(np.int32).copy(order="C"))}
    counts = np.bincount([places[row.tobytes()] for row in drawn.copy(order="C")], minlength=len(feasible))
    assert len(feasible) == 1 or stats.chisquare(counts).pvalue > 1e-5


@pytest.mark.parametrize("seed", range(40))
def test_uniform_over_random_conditional_problems(seed):
    # By brute force: everything that keeps the budgets, sums and maxima, is drawn equally often, and nothing else.
    utility, budgets, codes = random_problem(seed)
    feasible = codes[kept(budgets, codes)]
    if not len(feasible):
        with pytest.raises(InfeasibleError):
            UniformSampler(utility.space, budgets)
    else:
        assert_uniform(UniformSampler(utility.space, budgets), feasible)


@pytest.mark.parametrize("seed", range(40))
def test_uniform_where_few_keep_a_budget(seed):
    # The limit lies between two costs so that 1 % of a space keep it at most: too few for drawing from all of them.
    rng = np.random.default_rng(seed)
    space = Space([*random_space(rng).choices, *(Choice(f"more{n}", tuple(range(5))) for n in range(3))])
    codes = space.enumerate_codes()
    cost = random_table(space, rng, unit="ms") + CostTable(
        space, 0.0, [Term((f"more{n}",), rng.normal(size=6)) for n in range(3)], unit="ms"
    )
    values = np.sort(cost.values(codes))
    place = int(len(values) * rng.uniform(0.002, 0.012))
    budget = Budget("latency", float(values[place : place + 2].mean()), "ms", cost)
    feasible = codes[kept([budget], codes)]
    assert 1 <= len(feasible) < 0.02 * len(codes)
    assert_uniform(UniformSampler(space, [budget]), feasible)


def test_uniform_where_the_grid_is_coarse_and_options_are_weighed(monkeypatch):
    # As where there are very many choices: one grid point for seven choices and more, by brute force.
    monkeypatch.setattr("hwnas.solve.uniform._MAX_POINTS", 1)
    monkeypatch.setattr("hwnas.solve.uniform._MIN_POINTS", 1)
    num_weighed = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        space = Space([*random_space(rng).choices, *(Choice(f"more{n}", tuple(range(5))) for n in range(4))])
        codes = space.enumerate_codes()
        terms = [Term((f"more{n}",), rng.normal(size=6)) for n in range(4)]
        cost = random_table(space, rng, unit="ms") + CostTable(space, 0.0, terms, unit="ms")
        values = np.sort(cost.values(codes))
        budget = Budget("latency", float(values[len(values) // 300]), "ms", cost)
        sampler = UniformSampler(space, [budget])
        num_weighed += sampler._counted._tilt > 0
        assert_uniform(sampler, codes[kept([budget], codes)], each=30)
    assert num_weighed >= 4  # the others have next to nothing between the least cost and the limit


def test_many_choices_against_the_closed_form():
    # 600 choices of two, of which at most 240 may cost 1: k of them do with a probability in proportion to C(600, k).
    space = Space([Choice(f"c{n:03d}", (0, 1)) for n in range(600)])
    cost = CostTable(space, 0.0, [Term((name,), np.array([0.0, 1.0, 0.0])) for name in space.names])
    sampler = UniformSampler(space, [Budget("cost", 240.0, "", cost)])
    assert sampler._counted._tilt > 0
    drawn = sampler.sample_codes(2000, np.random.default_rng(0))
    sums = 240 - drawn.sum(axis=1)
    expected = stats.binom(600, 0.5).pmf(240 - np.arange(12))
    expected[-1] = stats.binom(600, 0.5).cdf(240 - 11)
    counts = np.bincount(np.minimum(sums, 11), minlength=12)
    assert stats.chisquare(counts, 2000 * expected / expected.sum()).pvalue > 1e-5
    # And no choice costs 1 more often than another.
    assert stats.chisquare(drawn.sum(axis=0)).pvalue > 1e-5


@pytest.mark.parametrize("tightness", [5.0, 12.0])
def test_a_thousand_choices(tightness):
    # So many standard deviations below the mean: one in 10^6, and (twelve) one in 10^32; ends only if few are rejected.
    rng = np.random.default_rng(0)
    space = stages(200, 4)
    blocks = [name for name in space.names if "depth" not in name]
    cost = CostTable(space, 0.0, [Term((name,), np.append(rng.random(4), 0.0)) for name in blocks])
    values = cost.values(space.sample_codes(4096, rng))
    budget = Budget("cost", float(values.mean() - tightness * values.std()), "", cost)
    sampler = UniformSampler(space, [budget])
    drawn = sampler.sample_codes(40, rng)
    assert (cost.values(drawn) <= budget.limit).all()
    assert sampler._drawn(2048, rng)[1].mean() > 0.01
    assert cost.values(drawn).mean() > budget.limit - 0.5 * values.std()  # nearly all that keep it are near it


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e-320, 1e-300, 1e15, 1e300])
@pytest.mark.parametrize("place", [0, 5])
def test_costs_of_any_magnitude(scale, place):
    # From the smallest numbers that doubles have to the largest; the limit is a cost, at place 0 the least of all.
    rng = np.random.default_rng(place)
    space = Space([*random_space(rng).choices, *(Choice(f"more{n}", tuple(range(5))) for n in range(3))])
    cost = CostTable(space, 0.0, [Term(term.choices, term.values * scale) for term in random_table(space, rng).terms])
    codes = space.enumerate_codes()
    budget = Budget("cost", float(np.sort(cost.values(codes))[place]), "", cost)
    feasible = codes[kept([budget], codes)]
    assert len(feasible) < len(codes) / 64
    assert_uniform(UniformSampler(space, [budget]), feasible)


def test_a_limit_that_only_the_least_meets_exactly():
    space = stages()
    cost = random_table(space, np.random.default_rng(1), unit="ms")
    least = cost.minimum()
    drawn = UniformSampler(space, [Budget("latency", least.value, "ms", cost)]).sample_codes(
        5, np.random.default_rng(0)
    )
    assert (cost.values(drawn) == least.value).all()
    assert len(drawn) == 5


def test_one_in_a_million_of_a_large_conditional_space():
    # How rare: by importance, from an estimate of the tail with a normal distribution of 20,000 sums.
    space = stages()
    rng = np.random.default_rng(0)
    blocks = [name for name in space.names if "depth" not in name]
    cost = CostTable(space, 1.0, [Term((name,), np.append(rng.random(12), 0.0)) for name in blocks], unit="ms")
    values = cost.values(space.sample_codes(20_000, rng))
    budget = Budget("latency", float(values.mean() - 5 * values.std()), "ms", cost)
    drawn = UniformSampler(space, [budget]).sample_codes(2000, rng)
    assert (cost.values(drawn) <= budget.limit).all()
    assert len(np.unique(drawn, axis=0)) == 2000
    space.decode(drawn)  # every one is an architecture, also by its conditions


def test_without_budgets_everything_is_drawn():
    space = random_space(np.random.default_rng(4))
    assert_uniform(UniformSampler(space), space.enumerate_codes())


def test_no_draws():
    space = random_space(np.random.default_rng(4))
    assert UniformSampler(space).sample_codes(0, np.random.default_rng(0)).shape == (0, len(space.choices))


def test_the_same_generator_draws_the_same():
    utility, budgets, _ = random_problem(3)
    sampler = UniformSampler(utility.space, budgets)
    first = sampler.sample_codes(50, np.random.default_rng(1))
    assert (first == sampler.sample_codes(50, np.random.default_rng(1))).all()


def test_budgets_that_are_hardly_ever_kept_together_are_reported():
    # Each is kept by half of all, both by the one architecture of equal costs in 2^26: rejection cannot find it.
    space = Space([Choice(f"c{n:02d}", (0, 1)) for n in range(26)])
    weights = 2.0 ** np.arange(26)
    up = CostTable(space, 0.0, [Term((n,), np.array([0.0, w, 0.0])) for n, w in zip(space.names, weights, strict=True)])
    middle = float(weights.sum() // 2)
    budgets = [Budget("up", middle, "", up), Budget("down", -middle, "", -up)]
    with pytest.raises(
        BudgetError, match=r"too rare to be drawn: none of 13\d,\d{3} draws .*up at least .*Raise a limit"
    ):
        UniformSampler(space, budgets).sample_codes(1, np.random.default_rng(0))


def test_a_maximum_is_kept_by_rejection():
    space = stages(2, 4)
    rng = np.random.default_rng(0)
    peak = MaxTable([random_table(space, rng, unit="bytes") for _ in range(3)])
    values = peak.values(space.sample_codes(4000, rng))
    budget = Budget("memory", float(np.quantile(values, 0.004)), "bytes", peak)
    drawn = UniformSampler(space, [budget]).sample_codes(20, rng)
    assert (peak.values(drawn) <= budget.limit).all()


def test_choices_coupled_too_tightly_to_count_are_drawn_by_rejection():
    # Sixteen choices of three, each pair with a table of its own: 3^8 and more different remainders at once.
    space = Space([Choice(f"c{n:02d}", tuple(range(3))) for n in range(16)])
    rng = np.random.default_rng(0)
    pairs = [(a, b) for i, a in enumerate(space.names) for b in space.names[i + 1 :]]
    cost = CostTable(space, 0.0, [Term(pair, rng.random((4, 4))) for pair in pairs], unit="ms")
    values = cost.values(space.sample_codes(20_000, rng))
    budget = Budget("latency", float(np.quantile(values, 0.005)), "ms", cost)
    drawn = UniformSampler(space, [budget]).sample_codes(10, rng)
    assert (cost.values(drawn) <= budget.limit).all()
