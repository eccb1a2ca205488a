import torch

from hwnas.device import batched


def test_every_tensor_with_the_batch_dimension_is_repeated():
    image, table, scalar = torch.arange(6.0).reshape(2, 3), torch.zeros(5, 3), torch.tensor(1.0)
    result = batched((image, table, scalar, image, "word"), 4)
    assert torch.equal(result[0], image[:1].expand(4, 3))
    assert result[1] is table
    assert result[2] is scalar
    assert result[3].shape == (4, 3)
    assert result[4] == "word"


def test_what_has_the_batch_already_stays():
    inputs = {"x": torch.zeros(2, 3)}
    assert batched(inputs, 2) is inputs
    assert batched(inputs, 1)["x"].shape == (1, 3)
    assert batched(torch.zeros(1, 3), 2).shape == (2, 3)
    nothing = (torch.tensor(1.0),)
    assert batched(nothing, 3) is nothing
