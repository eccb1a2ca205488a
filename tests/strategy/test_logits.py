import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import nn

from hwnas.errors import CheckpointError, SpaceError
from hwnas.nn import Paths
from hwnas.space import Choice, Space
from hwnas.strategy.logits import Logits, load_optimizer_state, load_tensors, optimizer_state, paths

SPACE = Space([Choice("a", (0, 1)), Choice("b", ("x", "y", "z"))])


def test_the_start_is_small_noise_and_the_seed_s():
    logits = Logits(Space([Choice("a", range(10_000))]), scale=0.1, seed=3).numpy()["a"]
    assert logits.std() == pytest.approx(0.1, rel=0.05)
    assert logits.mean() == pytest.approx(0.0, abs=0.005)
    assert torch.equal(Logits(SPACE, seed=1).values["b"], Logits(SPACE, seed=1).values["b"])
    assert not torch.equal(Logits(SPACE, seed=1).values["b"], Logits(SPACE, seed=2).values["b"])


def test_the_start_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    Logits(SPACE)
    assert torch.equal(torch.get_rng_state(), before)


def test_probabilities_are_the_softmax_with_gradient():
    logits = Logits(SPACE, scale=1.0)
    probabilities = logits.probabilities()
    for name, values in logits.numpy().items():
        assert probabilities[name].tolist() == pytest.approx(softmax(values))
        assert logits.distribution()[name] == pytest.approx(softmax(values))
    p = probabilities["a"]
    (gradient,) = torch.autograd.grad(p[0], [logits.values["a"]])
    assert gradient.tolist() == pytest.approx([(p[0] * (1 - p[0])).item(), (-p[0] * p[1]).item()])


def test_more_logits_and_choices_without():
    logits = Logits(SPACE, more={"b": 1}, without=["a"])
    assert {name: len(values) for name, values in logits.values.items()} == {"b": 4}
    assert logits.parameters == [logits.values["b"]]
    with pytest.raises(SpaceError, match=r"missing \['a'\]"):
        logits.distribution()


def test_numpy_is_a_copy():
    logits = Logits(SPACE)
    logits.numpy()["a"][:] = 5.0
    assert float(logits.values["a"].detach().abs().max()) < 1.0


def test_a_state_is_taken_up():
    logits, other = Logits(SPACE, seed=1), Logits(SPACE, seed=2)
    state = logits.state()
    with torch.no_grad():
        logits.values["a"] += 1.0  # the state does not follow
    other.load_state({**state, "optimizer.0/step": torch.tensor(1.0)})
    assert other.numpy()["a"].tolist() == Logits(SPACE, seed=1).numpy()["a"].tolist()
    assert other.values["a"].requires_grad


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"logits.a": torch.zeros(2)}, r"logits.b is nothing there and \(3,\) here. Search with the options"),
        ({"logits.a": torch.zeros(2), "logits.b": torch.zeros(4)}, r"logits.b is \(4,\) there and \(3,\) here"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(state, message):
    logits = Logits(SPACE)
    with pytest.raises(CheckpointError, match=message):
        logits.load_state(state)
    assert logits.numpy()["a"].tolist() == Logits(SPACE).numpy()["a"].tolist()


def test_load_tensors_keeps_one_s_own_precision():
    own = torch.zeros(2, dtype=torch.float64)
    load_tensors({"x": own}, {"x": torch.tensor([1.0, 2.0]), "y": torch.zeros(1)})
    assert own.tolist() == [1.0, 2.0]
    assert own.dtype == torch.float64


def test_paths_are_a_selection_with_gradient():
    probabilities = {"a": torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True), "b": torch.ones(5, 3)}
    selection = paths(probabilities, torch.device("cpu"))
    assert all(isinstance(chosen, Paths) for chosen in selection.values())
    assert selection["b"].weights.shape == (5, 3)
    selection["a"].weights[1].backward()
    assert probabilities["a"].grad.tolist() == [0.0, 1.0]


OPTIMISERS = {
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=0.1, betas=(0.5, 0.999), weight_decay=1e-3),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=0.1),
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
}


def steps(logits, optimizer, num):
    for step in range(num):
        optimizer.zero_grad()
        sum((values * np.sin(step + len(values))).pow(2).sum() for values in logits.parameters).backward()
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_optimiser_goes_on_where_it_was(name):
    whole = Logits(SPACE, scale=1.0)
    steps(whole, optimizer := OPTIMISERS[name](whole.parameters), 3)
    state = {**whole.state(), **optimizer_state(optimizer)}
    steps(whole, optimizer, 4)

    resumed = Logits(SPACE, seed=9)
    optimizer = OPTIMISERS[name](resumed.parameters)
    steps(resumed, optimizer, 1)  # what it remembers of this is forgotten
    resumed.load_state(state)
    load_optimizer_state(optimizer, state)
    steps(resumed, optimizer, 4)
    assert {name: v.tolist() for name, v in resumed.numpy().items()} == {
        name: v.tolist() for name, v in whole.numpy().items()
    }


def test_the_state_before_the_first_step_is_empty():
    logits = Logits(SPACE)
    optimizer = OPTIMISERS["Adam"](logits.parameters)
    empty = optimizer_state(optimizer)
    steps(logits, optimizer, 2)
    load_optimizer_state(optimizer, empty)
    assert empty == optimizer_state(optimizer) == {}


def test_two_optimisers_in_one_state():
    logits = Logits(SPACE)
    first, second = OPTIMISERS["SGD"](logits.parameters), OPTIMISERS["Adam"](logits.parameters)
    steps(logits, first, 1)
    steps(logits, second, 2)
    state = {**optimizer_state(first, "w"), **optimizer_state(second, "alpha")}
    load_optimizer_state(first, state, "w")
    load_optimizer_state(second, state, "alpha")
    assert optimizer_state(first).keys() == {"optimizer.0/momentum_buffer", "optimizer.1/momentum_buffer"}
    assert float(state["alpha.0/step"]) == 2.0


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("optimizer.2/exp_avg", (3,), r"optimizer.2/exp_avg is \(3,\) there and nothing here. Search with"),
        ("optimizer.0/exp_avg", (7,), r"optimizer.0/exp_avg is \(7,\) there and \(2,\) here"),
        ("optimizer.x", (2,), r"optimizer.x is \(2,\) there and nothing here"),
    ],
)
def test_an_optimiser_s_state_that_does_not_fit(name, shape, message):
    optimizer = OPTIMISERS["Adam"](Logits(SPACE).parameters)
    with pytest.raises(CheckpointError, match=message):
        load_optimizer_state(optimizer, {name: torch.zeros(shape)})
    assert not optimizer.state


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_an_optimiser_on_a_gpu_takes_a_state_from_a_file():
    layer = nn.Linear(2, 2).cuda()
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2, device="cuda")).sum().backward()
    optimizer.step()
    state = {name: tensor.cpu() for name, tensor in optimizer_state(optimizer).items()}
    load_optimizer_state(optimizer, state)
    optimizer.step()
    assert optimizer.state[layer.weight]["exp_avg"].device.type == "cuda"
