import dataclasses
import json
import pathlib
import re

import pytest

from hwnas.errors import BudgetError, ConfigError
from hwnas.experiment.config import DataConfig, DeviceConfig, SearchConfig, read_config
from hwnas.experiment.trials import TrialOptions
from hwnas.strategy import DARTS
from hwnas.train import Recipe


def read(tmp_path: pathlib.Path, text: str) -> SearchConfig:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return read_config(path)


def test_a_whole_file(tmp_path: pathlib.Path) -> None:
    config = read(
        tmp_path,
        """
        space = "mobilenet_v3_28"
        budgets = ["latency<=5ms", "params<=4M"]
        strategy = "certified"
        seed = 7
        supernet = "runs/supernet"
        space_options = { num_classes = 12 }
        [strategy_options]
        rounds = 3
        [data]
        name = "fashion-mnist"
        train_size = 1000
        [device]
        threads = 2
        [train]
        epochs = 30
        scheme = "sandwich"
        gradient_clip = 1
        """,
    )
    assert config.budgets == ("latency<=5ms", "params<=4M")
    assert (config.space_options, config.strategy_options) == ({"num_classes": 12}, {"rounds": 3})
    assert config.data == DataConfig(name="fashion-mnist", train_size=1000)
    assert config.device == DeviceConfig(threads=2)
    assert (config.train.epochs, config.train.scheme, config.train.gradient_clip) == (30.0, "sandwich", 1.0)


def test_a_section_keeps_its_own_defaults(tmp_path: pathlib.Path) -> None:
    config = read(tmp_path, 'space = "mobilenet_v3_8"\n[fine_tune]\nweight_decay = 0.5\n')
    assert config.fine_tune == dataclasses.replace(SearchConfig(space="x").fine_tune, weight_decay=0.5)
    assert config.fine_tune.epochs != config.train.epochs


def test_the_json_says_everything() -> None:
    config = SearchConfig(space="mobilenet_v3_8", budgets=("params<=4M",))
    assert config.to_json()["train"]["optimizer"] == "sgd"
    assert config.to_json()["budgets"] == ["params<=4M"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('spaec = "x"', r"config\.toml: Unknown key `spaec`\. Did you mean `space`\? Known here are budgets, data, "),
        (
            'space = "x"\n[train]\nepoch = 3',
            r"Unknown key `train\.epoch`\. Did you mean `train\.epochs`\? Known here are",
        ),
        ('space = "x"\n[train]\nqqq = 3', r"Unknown key `train\.qqq`\. Known here are batch_size, "),
        ("seed = 3", r"`space` must be given\."),
        ('space = "x"\nseed = "3"', r"`seed` is wrong: input should be a valid integer; got '3'\."),
        ('space = "x"\nseed = -3', r"`seed` must be a whole number of at least 0; got -3\."),
        (f'space = "x"\nseed = {2**63}', rf"`seed` must be a whole number of at most {2**63 - 1}; got {2**63}\."),
        (f'space = "x"\nseed = {"9" * 5000}', r"config\.toml is not valid TOML: Exceeds the limit"),
        (
            f"space = {'[' * 3000}{']' * 3000}",
            r"config\.toml cannot be read: its arrays or tables are nested too deeply\.",
        ),
        (
            'space = "x"\nbudgets = "latency<=5ms"',
            r"`budgets` is wrong: input should be a valid array; got 'latency<=5ms'",
        ),
        ('space = "x"\nbudgets = ["params<=4M", 5]', r"`budgets\[1\]` is wrong: input should be a valid string"),
        (
            'space = "x"\n[train]\nepochs = "ten"',
            r"`train\.epochs` is wrong: input should be a valid number; got 'ten'",
        ),
        ('space = "x"\n[train]\nepochs = true', r"`train\.epochs` is wrong: input should be a valid number; got True"),
        ('space = "x"\n[train]\nepochs = 2020-01-01', r"`train\.epochs` is wrong: input should be a valid number"),
        (
            'space = "x"\n[fine_tune]\nepochs = 0',
            r"in \[fine_tune\], `epochs` must be a finite number above 0; got 0",
        ),
        ('space = "x"\n[train]\nepochs = nan', r"in \[train\], `epochs` must be"),
        (
            'space = "x"\n[train]\nscheme = "double"',
            r"`train\.scheme` is wrong: input should be 'largest', 'sandwich' or 'single_path'",
        ),
        (
            'space = "x"\n[data]\nname = "mnist"',
            r"`data\.name` is wrong: input should be 'cifar10', 'digits', 'fashion-mnist', ",
        ),
        (
            'space = "x"\n[device]\nthreads = 0',
            r"in \[device\], `threads` must be a whole number of at least 1; got 0\.",
        ),
        ('space = "x"\n[device]\ncalibrate = 2', r"in \[device\], `calibrate` must be 0 or at least 3; got 2\."),
        ('space = "x"\ntrain = 3', r"`train` must be a table, written \[train\]; got 3\."),
        ('space = "x', r"config\.toml is not valid TOML: "),
    ],
)
def test_wrong_files_say_what_and_where(tmp_path: pathlib.Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, text)


def test_a_budget_without_a_unit(tmp_path: pathlib.Path) -> None:
    with pytest.raises(BudgetError, match="needs a unit"):
        read(tmp_path, 'space = "x"\nbudgets = ["latency<=5"]')


def test_files_that_cannot_be_read(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read: No such file or directory\. Give a TOML file\."):
        read_config(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.toml is not valid TOML: "):
        read_config(tmp_path / "binary.toml")


def test_a_byte_order_mark_is_read_over(tmp_path: pathlib.Path) -> None:
    """Some editors write one."""
    (tmp_path / "marked.toml").write_text('space = "x"\nseed = 5', encoding="utf-8-sig")
    assert read_config(tmp_path / "marked.toml") == SearchConfig(space="x", seed=5)


@pytest.mark.parametrize(
    ("heading", "record"),
    [
        ("At the top", SearchConfig),
        ("`[data]`", DataConfig),
        ("`[device]`", DeviceConfig),
        ("`[trials]`", TrialOptions),
        ("`[train]`", Recipe),
    ],
)
def test_every_key_and_default_stands_in_the_documentation(heading: str, record: type) -> None:
    text = (pathlib.Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    section = text.split(f"\n## {heading}")[1].split("\n## ")[0]
    written = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", section, re.MULTILINE))
    config = record(space="any") if record is SearchConfig else record()
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(record)}
    expected = {
        name: "not given" if value is None else f"`{json.dumps(value)}`"
        for name, value in values.items()
        if not dataclasses.is_dataclass(value)
    }
    assert written == expected | ({"space": "required"} if record is SearchConfig else {})


def test_search_fills_the_recipe_of_the_strategys_paper(tmp_path: pathlib.Path) -> None:
    config = read(tmp_path, 'space = "x"\nstrategy = "darts"\n[search]\nepochs = 3')
    assert config.search == dataclasses.replace(DARTS.recipe, epochs=3.0)
    assert read(tmp_path, 'space = "x"\nstrategy = "darts"').search is None
    with pytest.raises(ConfigError, match=r"strategy 'certified' takes no steps, so \[search\] has no use"):
        read(tmp_path, 'space = "x"\n[search]\nepochs = 3')
    with pytest.raises(ConfigError, match=r"Unknown key `search\.epoch`"):
        read(tmp_path, 'space = "x"\nstrategy = "darts"\n[search]\nepoch = 3')


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('executor = "threads"', r"in \[trials\], Unknown executor 'threads'; known are inline, processes, ray"),
        ("concurrency = 3", r"In line one trial runs at a time; got concurrency=3\. Set executor=\"processes\""),
        ('executor = "processes"\nconcurrency = 0', "`concurrency` must be a whole number of at least 1; got 0"),
        ('executor = "processes"\naddress = "auto"', "`address` is of a cluster, for executor=\"ray\"; got 'auto'"),
        ("timeout_seconds = 0", r"`timeout_seconds` must be a finite number above 0, or None; got 0\.0"),
        ("max_duration_seconds = inf", "`max_duration_seconds` must be a finite number above 0, or None; got inf"),
        ("max_attempts = 0", "`max_attempts` must be a whole number of at least 1; got 0"),
        ("workers = 3", r"Unknown key `trials\.workers`\. Known here are address, concurrency, executor"),
    ],
)
def test_trials_that_cannot_be_run(tmp_path: pathlib.Path, table: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, f'space = "x"\n[trials]\n{table}\n')
