"""Two processes on this machine: one selection, different images, equal weights."""

import os
import subprocess
import sys
from pathlib import Path

import accelerate
import pytest
import torch

from hwnas.errors import ConfigError
from hwnas.train import Recipe, read_checkpoint, train_supernet
from tests.train.examples import make_space, make_splits

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys
import torch
from hwnas.errors import ConfigError
from hwnas.train import Recipe, train_supernet
from tests.train.examples import ends, make_space, make_splits

out = sys.argv[1]
for scheme in ("single_path", "sandwich"):
    space = make_space(elastic=True)
    given = {}
    if scheme == "sandwich":
        space = make_space()
        given = ends(space)
    seen = []
    recipe = Recipe(epochs=1, batch_size=16, scheme=scheme)
    train_supernet(space, make_splits(), recipe, seed=0, directory=f"{out}/{scheme}", progress=seen.append, **given)
    rank = torch.distributed.get_rank()
    parameters = torch.cat([p.detach().flatten() for p in space.parameters()])
    torch.save({"parameters": parameters, "losses": torch.tensor([p.loss for p in seen])}, f"{out}/{scheme}-{rank}.pt")
try:
    train_supernet(make_space(), make_splits(), Recipe(batch_size=15), seed=0)
except ConfigError as error:
    assert "`batch_size` must be a multiple of the number of processes, 2; got 15" in str(error), error
else:
    raise AssertionError("no error")
torch.distributed.destroy_process_group()
"""


def test_two_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script), str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    for scheme in ("single_path", "sandwich"):
        a, b = (torch.load(tmp_path / f"{scheme}-{rank}.pt", weights_only=True) for rank in (0, 1))
        assert torch.equal(a["parameters"], b["parameters"])
        assert torch.equal(a["losses"], b["losses"])
        assert a["parameters"].isfinite().all()
        assert read_checkpoint(tmp_path / scheme / "step-000000009.safetensors").finished


def test_an_accelerator_of_ones_own():
    first, second = make_space(), make_space()
    recipe = Recipe(epochs=1, batch_size=16)
    train_supernet(first, make_splits(), recipe, seed=0, accelerator=accelerate.Accelerator())
    train_supernet(second, make_splits(), recipe, seed=0)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def test_precision_changes_between_runs():
    spaces = [make_space() for _ in range(3)]
    for space, precision in zip(spaces, ("float32", "bfloat16", "float32"), strict=True):
        recipe = Recipe(epochs=1, batch_size=16, precision=precision)
        train_supernet(space, make_splits(), recipe, seed=0, max_steps=3)
    exact, mixed, again = (torch.cat([p.detach().flatten() for p in space.parameters()]) for space in spaces)
    assert torch.equal(exact, again)
    assert not torch.equal(exact, mixed)


def test_config_error_is_raised_before_anything():
    with pytest.raises(ConfigError, match="`batch_size` must be at most"):
        train_supernet(make_space(), make_splits(), Recipe(batch_size=1000), seed=0)
