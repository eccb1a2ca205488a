import contextlib
import re

import pytest
import torch
from torch import Tensor, nn

from hwnas.errors import StrategyError
from hwnas.nn import Cell, ElasticConv2d, InputChoice, LayerChoice, ModelSpace, Repeat
from hwnas.strategy.mixable import SAMPLING_STRATEGIES, require_mixable
from hwnas.testing.planted_search import planted_space

IMAGES = torch.zeros(2, 3, 8, 8)


def conv(num_in, num_out):
    return nn.Sequential(nn.Conv2d(num_in, num_out, 3, padding=1), nn.BatchNorm2d(num_out), nn.ReLU())


class Branches(nn.Module):
    """Several tensors, some of which are chosen."""

    def __init__(self, choice):
        super().__init__()
        self.branches = nn.ModuleList(conv(3, 4) for _ in range(3))
        self.choice = choice

    def forward(self, x):
        return self.choice([branch(x) for branch in self.branches])


class Integers(nn.Module):
    """Gives no floating-point tensor."""

    def forward(self, x: Tensor) -> Tensor:
        return x.argmax(1)


MIXABLE = {
    "layers": lambda: nn.Sequential(LayerChoice([conv(3, 4), conv(3, 4)]), LayerChoice([nn.Identity(), nn.ReLU()])),
    "kernels": lambda: nn.Sequential(ElasticConv2d(3, 4, [1, 3, 5], padding="same")),
    "depth": lambda: nn.Sequential(conv(3, 4), Repeat(lambda i: LayerChoice([conv(4, 4), nn.Identity()]), (1, 3))),
    "inputs": lambda: Branches(InputChoice(3, label="inputs")),
    "any inputs": lambda: Branches(InputChoice(3, n_chosen=None, label="inputs")),
    "two of three": lambda: Branches(InputChoice(3, n_chosen=2, reduction="concat", label="inputs")),
    "cell": lambda: Cell([nn.Identity(), conv(3, 3)], 3, num_ops_per_node=2, label="cell"),
    "double precision": lambda: LayerChoice([nn.Identity(), conv(3, 3)], label="op").double(),
}


@pytest.mark.parametrize("name", MIXABLE)
def test_what_can_be_mixed(name):
    space = ModelSpace(MIXABLE[name](), IMAGES.double() if name == "double precision" else IMAGES)
    require_mixable(space, "darts")


def different_widths():
    return nn.Sequential(
        LayerChoice([conv(3, 4), nn.Conv2d(3, 4, 1)], label="first"),
        ElasticConv2d(4, [4, 8], 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        LayerChoice([nn.Identity(), nn.ReLU()], label="last"),
    )


def not_behind():
    """What does not fit shows only two modules further on: halves of the image, then a linear layer."""
    pools = LayerChoice([nn.MaxPool2d(2), nn.MaxPool2d(4)], label="pool")
    return nn.Sequential(LayerChoice([conv(3, 3), nn.Identity()], label="first"), pools, nn.Flatten(), nn.Linear(48, 2))


def only_in_deep_networks():
    return Repeat(lambda i: LayerChoice([nn.Identity(), conv(3, 3 + i // 2)], label=f"block{i}"), (1, 3), label="depth")


def loose_ends():
    return Cell([nn.Identity(), conv(3, 3)], 3, merge="loose_end", label="cell")


NOT_MIXABLE = {
    "1.out_channels": (different_widths, r"outputs of one shape.*\(2, 4, 8, 8\).*\(2, 8, 8, 8\)"),
    "pool": (not_behind, r"outputs of one shape"),
    "block2": (only_in_deep_networks, r"outputs of one shape.*\(2, 3, 8, 8\).*\(2, 4, 8, 8\)"),
    "integers": (lambda: LayerChoice([Integers(), Integers()], label="integers"), "floating-point"),
    "cell/input_2_0": (loose_ends, "not possible in a Cell with merge='loose_end'"),
}


@pytest.mark.parametrize("name", NOT_MIXABLE)
def test_the_choice_that_cannot_be_mixed_is_named(name):
    make, reason = NOT_MIXABLE[name]
    space = ModelSpace(make(), IMAGES)
    message = f"darts mixes the options of every choice, and those of '{re.escape(name)}' cannot be mixed: .*{reason}"
    with pytest.raises(StrategyError, match=message) as caught:
        require_mixable(space, "darts")
    assert str(caught.value).endswith(f"search with one of {', '.join(SAMPLING_STRATEGIES)}.")


@pytest.mark.parametrize("make", [MIXABLE["depth"], different_widths])
def test_nothing_is_left_behind(make):
    """Statistics, weights, gradients and modes are as they were, whether the space is refused or not."""
    space = ModelSpace(make(), torch.randn(2, 3, 8, 8))
    space.train()
    batch_norm = next(module for module in space.modules() if isinstance(module, nn.BatchNorm2d))
    batch_norm.eval()  # frozen by the user
    before = {name: value.clone() for name, value in space.state_dict().items()}
    with contextlib.suppress(StrategyError):
        require_mixable(space, "darts")
    assert all(torch.equal(value, before[name]) for name, value in space.state_dict().items())
    assert all(parameter.grad is None for parameter in space.parameters())
    assert [module for module in space.modules() if not module.training] == [batch_norm]


def test_inputs_by_keyword():
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.choice = LayerChoice([nn.Identity(), nn.Tanh()], label="op")

        def forward(self, *, x, times):
            return self.choice(x) * times

    require_mixable(ModelSpace(Model(), {"x": IMAGES, "times": 2}), "darts")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_weights_on_a_gpu_and_example_inputs_not():
    require_mixable(ModelSpace(MIXABLE["depth"](), IMAGES).cuda(), "darts")
    with pytest.raises(StrategyError, match="outputs of one shape"):
        require_mixable(ModelSpace(different_widths(), IMAGES).cuda(), "darts")


def test_the_planted_task_can_be_mixed():
    require_mixable(planted_space(with_depth=True), "darts")
