"""What a step keeps for its backward passes, on ProxylessNAS's own space: counted by autograd's hooks, to the byte."""

import dataclasses
import weakref
from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwnas.nn import ModelSpace, Selection
from hwnas.nn.families import proxylessnas
from hwnas.strategy import DARTS, FBNet, Moment, ProxylessNAS
from hwnas.testing.planted_search import moments, planted_space

X_BCHW = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
Y_B = torch.arange(4)


class Saved:
    """The bytes that autograd keeps inside of a `with`; a storage counts once, and weights do not count.

    Attributes:
        now: kept at present.
        peak: the most at any time.
    """

    def __init__(self, model: nn.Module) -> None:
        self.now = self.peak = 0
        self._num_references = Counter[int]()
        self._weights = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._keep, lambda kept: kept.tensor)

    def __enter__(self):
        self._hooks.__enter__()
        return self

    def __exit__(self, *error) -> None:
        self._hooks.__exit__(*error)

    def _keep(self, tensor: Tensor) -> "Kept":
        kept = Kept(tensor.detach())  # a result would keep the graph that keeps it
        storage = tensor.untyped_storage()
        address, num_bytes = storage.data_ptr(), storage.nbytes()
        if address not in self._weights:
            self._num_references[address] += 1
            self.now += num_bytes if self._num_references[address] == 1 else 0
            self.peak = max(self.peak, self.now)
            weakref.finalize(kept, self._forget, address, num_bytes)
        return kept

    def _forget(self, address: int, num_bytes: int) -> None:
        self._num_references[address] -= 1
        self.now -= num_bytes if self._num_references[address] == 0 else 0


@dataclasses.dataclass(eq=False)
class Kept:
    """What autograd keeps in the place of a tensor; it goes when autograd lets it go."""

    tensor: Tensor


@pytest.fixture(scope="module")
def space() -> ModelSpace:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return proxylessnas(resolution=32, num_classes=10).train()


def loss_of(space: ModelSpace, selection: Selection) -> Tensor:
    return functional.cross_entropy(space(X_BCHW, selection), Y_B)


def peak_of_architecture_step(strategy, space: ModelSpace, seed: int = 0) -> tuple[int, list[Selection]]:
    """The most bytes kept in a step without its training of weights, and what the validation losses were of."""
    selections: list[Selection] = []

    def validation_loss(selection: Selection) -> Tensor:
        selections.append(selection)
        return loss_of(space, selection)

    optimizer = torch.optim.SGD(space.parameters(), lr=0.1)
    moment: Moment = dataclasses.replace(
        next(moments(planted_space(), optimizer, num_steps=1)),
        rng=np.random.default_rng(seed),
        training_loss=lambda selection: torch.zeros(()),
        backward=lambda loss: None,
        validation_loss=validation_loss,
        weights=list(space.parameters()),
    )
    with Saved(space) as saved:
        strategy.step(moment)
    assert saved.now == 0
    return saved.peak, selections


def peak_of_training_step(space: ModelSpace, architecture) -> int:
    with Saved(space) as saved:
        loss_of(space, architecture).backward()
    space.zero_grad()
    assert saved.now == 0
    return saved.peak


def test_the_count_is_exact():
    """A linear layer keeps its input, ReLU its output, which is the next layer's input; a sum keeps nothing."""
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))
    with Saved(model) as saved:
        loss = model(torch.zeros(7, 3)).sum()
        assert saved.now == 4 * (7 * 3 + 7 * 5)
        loss.backward()
    assert (saved.now, saved.peak) == (0, 4 * (7 * 3 + 7 * 5))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_proxylessnas_keeps_two_paths(space, seed):
    two, [selection] = peak_of_architecture_step(ProxylessNAS(space, num_warmup_epochs=0.0), space, seed)
    pairs = [selection[name].options for name in space.space.names]
    assert all(len(pair) == 2 for pair in pairs)
    singles = [peak_of_training_step(space, path) for path in space.space.decode(list(zip(*pairs, strict=True)))]
    assert two < 2.2 * np.mean(singles)
    assert two > 1.5 * np.mean(singles)  # it does see both


def test_reinforce_keeps_nothing(space):
    """Paths are only evaluated; what is left are the logits' softmaxes: 8 bytes for each of 7 options at most."""
    strategy = ProxylessNAS(space, method="reinforce", num_samples=2, num_warmup_epochs=0.0)
    peak, selections = peak_of_architecture_step(strategy, space)
    assert len(selections) == 2
    assert peak < 0.001 * peak_of_training_step(space, selections[0])


@pytest.mark.parametrize("make", [DARTS, lambda space: FBNet(space, start_epoch=0.0)], ids=["darts", "fbnet"])
def test_mixtures_keep_every_option(space, make):
    """Six inverted residuals in nearly every block, and sums, which keep every output once more."""
    rng = np.random.default_rng(0)
    single = np.mean([peak_of_training_step(space, space.space.sample(rng)) for _ in range(4)])
    all_options, _ = peak_of_architecture_step(make(space), space)
    assert all_options > 5 * single
