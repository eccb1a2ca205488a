"""Random small problems whose every architecture can be looked at."""

import numpy as np

from hwnas.cost import Budget, CostTable, MaxTable, Term
from hwnas.space import Choice, Requirement, Space


def random_space(rng: np.random.Generator) -> Space:
    """Three to six choices; conditions are nested ORs of ANDs on any earlier choices."""
    choices: list[Choice] = []
    for position in range(int(rng.integers(3, 7))):
        condition = []
        if choices and rng.random() < 0.6:
            for _ in range(int(rng.integers(1, 4))):
                parents = rng.choice(len(choices), size=int(rng.integers(1, min(3, len(choices)) + 1)), replace=False)
                condition.append([_requirement(choices[parent], rng) for parent in sorted(parents)])
        choices.append(Choice(f"c{position}", tuple(range(int(rng.integers(1, 5)))), condition=condition))
    return Space(choices)


def _requirement(choice: Choice, rng: np.random.Generator) -> Requirement:
    count = int(rng.integers(1, choice.num_options + 1))
    return Requirement(choice.name, tuple(sorted(rng.choice(choice.num_options, size=count, replace=False).tolist())))


def random_table(space: Space, rng: np.random.Generator, *, absent: float = 0.0, unit: str = "") -> CostTable:
    """A term over every choice, pairs and one triple; each cell is -inf with the probability `absent`."""
    scopes = [(name,) for name in space.names if rng.random() < 0.9]
    for size in (2, 2, 3):
        if rng.random() < 0.5:
            scopes.append(tuple(rng.choice(space.names, size=size, replace=False).tolist()))
    terms = []
    for scope in scopes:
        values = rng.normal(size=[space.choice(name).num_options + 1 for name in scope])
        if rng.random() < 0.5:
            values = np.round(values, 1)  # ties
        values[rng.random(values.shape) < absent] = -np.inf
        terms.append(Term(scope, values))
    return CostTable(space, float(rng.normal()), terms, unit=unit)


def random_peak(space: Space, rng: np.random.Generator) -> MaxTable:
    """A maximum over rows, some of them absent in places."""
    return MaxTable([random_table(space, rng, absent=0.2, unit="ms") for _ in range(3)])


def random_problem(seed: int) -> tuple[CostTable, list[Budget], np.ndarray]:
    """A utility, one to three budgets (tight or loose, sums or maxima), and all architectures encoded."""
    rng = np.random.default_rng(seed)
    space = random_space(rng)
    codes = space.enumerate_codes()
    budgets = []
    for number in range(int(rng.integers(1, 4))):
        cost = random_peak(space, rng) if rng.random() < 0.3 else random_table(space, rng, unit="ms")
        values = cost.values(codes)
        limit = (
            float(np.quantile(values[np.isfinite(values)], rng.uniform(0.1, 0.9))) if np.isfinite(values).any() else 0.0
        )
        budgets.append(Budget(f"cost{number}", limit, "ms", cost))
    return random_table(space, rng), budgets, codes


def kept(budgets: list[Budget], codes: np.ndarray) -> np.ndarray:
    """Which encoded architectures keep every budget."""
    return np.all([budget.cost.values(codes) <= budget.limit for budget in budgets], axis=0)


def stages(num_stages: int = 5, num_options: int = 12) -> Space:
    """The choices of mobilenet_v3: a depth of 2, 3 or 4 for each stage, and four blocks."""
    choices = []
    for stage in range(num_stages):
        choices.append(Choice(f"s{stage}.depth", (2, 3, 4)))
        for block in range(4):
            deep = Requirement(f"s{stage}.depth", tuple(range(block + 1, 5)))
            condition = [[deep]] if block >= 2 else ()
            choices.append(Choice(f"s{stage}.b{block}", tuple(range(num_options)), condition=condition))
    return Space(choices)


def block_table(space: Space, rng: np.random.Generator, *, unit: str = "") -> CostTable:
    """A random number for every option of every block."""
    blocks = [choice for choice in space.choices if not choice.name.endswith("depth")]
    return CostTable.from_options(
        space, {block.name: dict(zip(block.options, rng.random(block.num_options), strict=True)) for block in blocks},
        constant=1.0, unit=unit,
    )  # fmt: skip
