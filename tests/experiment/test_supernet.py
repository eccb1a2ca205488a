import pytest

from hwnas.errors import ConfigError
from hwnas.experiment.config import read_config
from hwnas.experiment.supernet import train_whole_space
from hwnas.profiler import FlopsProfiler
from hwnas.train import Recipe
from tests.train.examples import make_space, make_splits


def test_bins_of_macs_are_the_space_s_own(tmp_path):
    space = make_space()
    macs = FlopsProfiler(space).cost
    recipe = Recipe(epochs=1, batch_size=16, macs_range=(macs.minimum().value, macs.maximum().value), num_cost_bins=2)
    result = train_whole_space(space, make_splits(), recipe, seed=0, directory=tmp_path)
    assert result.step == result.num_steps
    elsewhere = Recipe(epochs=1, batch_size=16, macs_range=(1e12, 2e12))
    with pytest.raises(ConfigError, match="`macs_range` must hold some architectures"):
        train_whole_space(space, make_splits(), elsewhere, seed=0, directory=tmp_path / "other")


def test_a_range_of_macs_in_a_configuration(tmp_path):
    path = tmp_path / "search.toml"
    text = (
        'space = "mobilenet_v3_8"\nstrategy = "spos"\n[data]\nname = "digits"\n[train]\nmacs_range = [1e6, 2000000]\n'
    )
    path.write_text(text + "num_cost_bins = 4\n")
    assert read_config(path).train.macs_range == (1e6, 2e6)
    path.write_text(text.replace("2000000", "'two'"))
    with pytest.raises(ConfigError, match=r"`train\.macs_range\[1\]` is wrong"):
        read_config(path)
