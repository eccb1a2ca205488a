"""Tensors are as before, whatever happened."""

import pytest
import torch

from hwnas.strategy.put_back import put_back


def test_values_come_back_in_the_same_tensors() -> None:
    first, second = torch.randn(3), torch.tensor(2)
    before = first.clone()
    with put_back([first, second]) as copies:
        first += 1
        second.fill_(7)
        assert torch.equal(copies[0], before)
    assert torch.equal(first, before)
    assert second.item() == 2


def test_they_come_back_after_an_error() -> None:
    weight = torch.nn.Parameter(torch.ones(2))

    def fails() -> None:
        with put_back([weight]), torch.no_grad():
            weight.zero_()
            raise ValueError("in between")

    with pytest.raises(ValueError, match="in between"):
        fails()
    assert weight.tolist() == [1.0, 1.0]
