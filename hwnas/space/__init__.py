"""What may vary, as data: choices with conditions, and what can be done with them alone.

    option         what an option may be
    condition      when a choice matters: an OR of ANDs of requirements
    choice         one decision
    architecture   an option for every active choice
    space          the ordered choices: size, sampling, enumeration, validation, codes
    encoding       rows of integers: checked, enumerated
    layers         choices decided one after the other: what the past means for the future
    counting       ... exact size and uniform sampling
    ordering       choices given in any order
    variation      mutation and crossover
    distribution   a probability for every option

Only the standard library and numpy; randomness is always an argument.
"""

from hwnas.space.architecture import Architecture
from hwnas.space.choice import Choice, MappedChoice
from hwnas.space.condition import Condition, Requirement, all_of, any_of
from hwnas.space.distribution import Distribution
from hwnas.space.layers import INACTIVE
from hwnas.space.option import Option
from hwnas.space.space import Space

__all__ = [
    "INACTIVE",
    "Architecture",
    "Choice",
    "Condition",
    "Distribution",
    "MappedChoice",
    "Option",
    "Requirement",
    "Space",
    "all_of",
    "any_of",
]
