"""Spaces to test with, and what they mean, said in the plainest way."""

import itertools

import numpy as np

from hwnas.space import Choice, Requirement, Space

OPTION_LISTS = [
    ("a",),
    ("conv", "skip"),
    (3, 5, 7),
    (0.5, 1.0),
    (False, True),
    ((1, 2), (2, 1), ()),
]


def mobilenet() -> Space:
    """The 22,608^5 networks of the family of that name (algorithms 1.1), here as data."""
    choices = []
    for stage in range(5):
        depth = f"stage{stage}.depth"
        choices.append(Choice(depth, (2, 3, 4)))
        for block, depths in enumerate([None, None, (3, 4), (4,)]):
            condition = () if depths is None else ((Requirement(depth, depths),),)
            choices.append(Choice(f"stage{stage}.block{block}", range(12), condition=condition))
    return Space(choices)


def random_space(seed: int, max_choices: int = 5) -> Space:
    """Choices of every kind of option, most of them under an OR of ANDs of requirements."""
    rng = np.random.default_rng(seed)
    choices: list[Choice] = []
    for number in range(int(rng.integers(1, max_choices + 1))):
        condition = []
        if choices and rng.random() < 0.7:
            for _ in range(int(rng.integers(1, 4))):
                earlier = rng.choice(len(choices), size=min(len(choices), int(rng.integers(1, 3))), replace=False)
                condition.append([_requirement(choices[index], rng) for index in earlier])
        options = OPTION_LISTS[int(rng.integers(len(OPTION_LISTS)))]
        choices.append(Choice(f"c{number}", options, condition=condition))
    return Space(choices)


def _requirement(choice: Choice, rng: np.random.Generator) -> Requirement:
    size = int(rng.integers(1, choice.num_options + 1))
    codes = rng.choice(choice.num_options, size=size, replace=False)
    return Requirement(choice.name, tuple(choice.options[code] for code in codes))


def brute_force(space: Space) -> list[dict]:
    """All architectures: every assignment of an option or nothing, kept where it fits the conditions."""
    slots = [[(choice.name, option) for option in choice.options] + [None] for choice in space.choices]
    assignments = (dict(filter(None, picks)) for picks in itertools.product(*slots))
    return [
        given
        for given in assignments
        if all((choice.name in given) == holds(choice, given) for choice in space.choices)
    ]


def holds(choice: Choice, given: dict) -> bool:
    """Whether the condition of a choice holds, read off its definition."""
    if not choice.condition:
        return True
    return any(
        all(part.choice in given and given[part.choice] in part.options for part in conjunction)
        for conjunction in choice.condition
    )
