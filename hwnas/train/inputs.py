"""What a space must be to be trained on data."""

from __future__ import annotations

from torch import Tensor

from hwnas.data import Splits
from hwnas.errors import ConfigError
from hwnas.nn import ModelSpace

__all__ = ["check_inputs"]


def check_inputs(space: ModelSpace, splits: Splits) -> None:
    """Raise unless the data fit the space's example inputs.

    Raises:
        ConfigError: for example inputs that are not tensors by position.
        DataError: for data of another shape.
    """
    examples = space.example_inputs
    if not isinstance(examples, tuple) or not all(isinstance(x, Tensor) for x in examples):
        raise ConfigError(
            "Training gives a model its inputs as tensors by position, but the space's example inputs are not a tuple "
            "of tensors. Wrap the model in a module whose `forward` takes them so."
        )
    splits.check_inputs(examples)
