"""Tasks without classes, searched to the end: the result, the report and the command line name the task's own score."""

import csv
import dataclasses
import json
import math
import re

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import TensorDataset

from hwnas.cli.search import print_results
from hwnas.data import REGRESSION, Splits, Task, landmarks, split
from hwnas.experiment import search
from hwnas.nn import LayerChoice, ModelSpace
from hwnas.nn.families import NASBench201Space, family, from_string
from hwnas.profiler import NumParamsProfiler
from hwnas.train import Recipe, evaluate_accuracy
from tests.experiment.examples import OPTIONS, conv, tiny_data

RECIPE = Recipe(epochs=1, batch_size=64, learning_rate=0.02, label_smoothing=0.0)
SHORT = dataclasses.replace(RECIPE, epochs=1, distillation=0.0)
STRATEGIES = {
    "certified": OPTIONS,
    "evolution": {"max_trials": 6, "population_size": 4, "sample_size": 2},
    "darts": {},
}


def with_tolerance(tolerance: float) -> Task:
    """A user's own task: numbers that count as right within a tolerance."""
    return Task(
        name="tolerance",
        loss=lambda outputs, targets: functional.smooth_l1_loss(outputs, targets, reduction="none").mean(1),
        score=lambda outputs, targets: (outputs - targets).abs().amax(1) < tolerance,
        score_name="share within tolerance",
    )


TASKS = {"regression": REGRESSION, "landmarks": landmarks(eyes=(0, 2)), "tolerance": with_tolerance(0.2)}


def space() -> ModelSpace:
    """Six outputs: the three landmarks of a face, x and y each."""
    torch.manual_seed(0)
    first = LayerChoice({f"k{k}": conv(1, 4, k) for k in (1, 3, 5)}, label="first")
    second = LayerChoice({f"k{k}": conv(4, 4, k) for k in (1, 3, 5)}, label="second")
    net = nn.Sequential(first, second, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 6))
    return ModelSpace(net, torch.zeros(1, 1, 8, 8))


def faces(task: Task) -> Splits:
    """Three points around a bright spot; the first and the last are never in one place."""
    rng = np.random.default_rng(0)
    centres = rng.uniform(-0.5, 0.5, (240, 2))
    shifts = np.array([[-0.4, 0.2], [0.0, -0.2], [0.4, 0.2]])
    points = centres[:, None] + shifts + rng.normal(0.0, 0.02, (240, 3, 2))
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 8), np.linspace(-1, 1, 8), indexing="xy"), axis=-1)
    images = np.exp(-4.0 * ((grid[None] - centres[:, None, None]) ** 2).sum(-1))
    tensors = TensorDataset(torch.tensor(images[:, None]).float(), torch.tensor(points.reshape(240, 6)).float())
    return split(tensors, seed=0, task=task)


def run(directory, task: Task, strategy: str, **options):
    return search(
        space(),
        faces(task),
        ["params<=70%"],
        strategy=strategy,
        strategy_options=STRATEGIES[strategy],
        recipe=RECIPE,
        fine_tune=SHORT,
        short=SHORT,
        directory=directory,
        **({"search": RECIPE} | options),
    )


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("regression", "certified"),
        ("landmarks", "evolution"),
        ("tolerance", "darts"),
        *(
            pytest.param(name, strategy, marks=pytest.mark.slow)
            for name in TASKS
            for strategy in STRATEGIES
            if (name, strategy) not in {("regression", "certified"), ("landmarks", "evolution"), ("tolerance", "darts")}
        ),
    ],
)
def test_searched_to_the_end(tmp_path, capsys, name, strategy):
    task = TASKS[name]
    result = run(tmp_path / "run", task, strategy)
    content = json.loads((result.directory / "result.json").read_text())
    assert (content["task"], content["score_name"]) == (name, task.score_name)
    assert NumParamsProfiler(space()).profile(result.architecture) <= result.budgets[0].limit

    # The test score again, from the files: the network's weights on the test part.
    from safetensors.torch import load_file

    network = space().freeze(result.architecture)
    network.load_state_dict(load_file(result.directory / "network.safetensors"))
    data = faces(task)
    scores = evaluate_accuracy(network.eval(), data.test, task).scores
    assert result.test_accuracy == pytest.approx(scores.mean(), rel=1e-5)
    assert result.test_standard_error == pytest.approx(scores.std() / math.sqrt(len(data.test)), rel=1e-5)
    assert result.search_standard_error >= 0.0
    assert math.isfinite(result.search_standard_error)

    report = (result.directory / "report.html").read_text()
    body, figures = report[: report.index("<script>")], report[report.index('id="figures"') :]
    assert f"test {task.score_name}" in body
    assert f"{task.score_name} before fine-tuning" in body
    assert f'"{task.score_name} before fine-tuning"' in figures
    assert "ccuracy" not in body
    assert "ccuracy" not in figures
    assert "%" not in figures.split('"front"')[0].split('"hovertemplate"')[0]

    print_results([result])
    printed = capsys.readouterr().out
    shown = float(re.search(rf"test {task.score_name} (-?[\d.]+)", printed)[1])
    assert shown == pytest.approx(result.test_accuracy, abs=0.06 * result.test_standard_error + 1e-3 * abs(shown))
    assert "ccuracy" not in printed


def test_the_report_of_classes_speaks_of_accuracy_in_percent(tmp_path, capsys):
    from tests.experiment.examples import tiny_space

    result = search(
        tiny_space(),
        tiny_data(),
        ["params<=90%"],
        strategy="random",
        strategy_options={"max_trials": 2},
        recipe=RECIPE,
        fine_tune=SHORT,
        rivals="none",
        directory=tmp_path / "run",
    )
    assert (result.task, result.score_name) == ("classification", "accuracy")
    p, num = result.search_accuracy, result.splits["search"].num_examples
    assert result.search_standard_error == pytest.approx(math.sqrt(p * (1.0 - p) / num), abs=1e-7)  # binomial
    print_results([result])
    assert f"test accuracy {100 * result.test_accuracy:.1f} ± " in capsys.readouterr().out
    report = (result.directory / "report.html").read_text()
    assert "accuracy before fine-tuning" in report
    assert '"tickformat": ".1~%"' in report


def test_a_network_with_a_string_carries_it(tmp_path):
    rng = np.random.default_rng(0)
    images = torch.tensor(rng.normal(size=(120, 1, 8, 8))).float()
    searched = family("nasbench201_8")
    assert isinstance(searched, NASBench201Space)
    result = search(
        searched,
        split(TensorDataset(images, torch.arange(120) % 10), seed=0),
        ["params<=60%"],
        strategy="random",
        strategy_options={"max_trials": 1},
        recipe=RECIPE,
        fine_tune=SHORT,
        rivals="none",
        directory=tmp_path / "run",
    )
    assert result.architecture_string is not None
    assert from_string(searched, result.architecture_string) == result.architecture
    assert json.loads((result.directory / "result.json").read_text())["architecture_string"] == (
        result.architecture_string
    )


def test_a_space_without_strings_has_none(tmp_path):
    result = run(tmp_path / "run", REGRESSION, "evolution", rivals="none")
    assert result.architecture_string is None


def test_a_search_by_steps_is_shown_epoch_by_epoch(tmp_path):
    recipe = dataclasses.replace(RECIPE, epochs=2)
    result = run(tmp_path / "run", REGRESSION, "darts", rivals="none", search=recipe)
    figures = json.loads(
        re.search(r'id="figures">(.*?)</script>', (result.directory / "report.html").read_text(), re.S)[1]
    )
    with (result.directory / "expected_costs.csv").open() as file:
        written = [(row["profiler"], float(row["expected"])) for row in csv.DictReader(file)]
    for number, name in enumerate(("params", "macs")):
        figure = figures[f"expected-{number}"]
        assert figure["data"][0]["y"] == [expected for profiler, expected in written if profiler == name]
        assert figure["layout"].get("shapes", [{}])[0].get("y0") == {"params": result.budgets[0].limit}.get(name)
    with (result.directory / "probabilities.csv").open() as file:
        last = [float(row["probability"]) for row in csv.DictReader(file) if row["epoch"] == "2"]
    share = -sum(p * math.log(p) for p in last) / (2 * math.log(3))  # two choices of three options
    assert figures["entropy"]["data"][0]["y"][1] == pytest.approx(share, rel=1e-9)
    assert len(figures["entropy"]["data"][0]["y"]) == 2
