"""The documentation against the code: every snippet works, every table of options is that of the constructor."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hwnas.cli.main import main
from hwnas.cost import LatencyTable, parse_budget
from hwnas.experiment import STRATEGIES, read_config
from hwnas.experiment.budgets import Profilers, resolve
from hwnas.experiment.strategies import make_strategy, split_options
from hwnas.nn.families import FAMILIES, family, load_space
from hwnas.strategy.feasible import require_feasible

ROOT = Path(__file__).parents[1]
STRATEGIES_PAGE = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", STRATEGIES_PAGE, re.MULTILINE | re.DOTALL))
WHOLE_FILES = [
    (f"{page.name}, {number}", text)
    for page in (ROOT / "README.md", ROOT / "docs" / "strategies.md", ROOT / "docs" / "experiments.md")
    for number, text in enumerate(re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL), 1)
]
PROGRAMS = re.findall(r"```python\n(.*?)```", STRATEGIES_PAGE, re.DOTALL)
EXPERIMENTS_PAGE = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
GIVEN_BY_THE_SEARCH = {"space", "budgets", "seed", "priors"}


def options_of(name: str) -> dict[str, object]:
    parameters = inspect.signature(STRATEGIES[name]).parameters.values()
    return {option.name: option.default for option in parameters if option.name not in GIVEN_BY_THE_SEARCH}


def test_every_strategy_has_a_section_and_nothing_else_has() -> None:
    assert set(SECTIONS) == set(STRATEGIES)
    first = STRATEGIES_PAGE.split("\n## ")[0]
    assert set(re.findall(r"^\| \[`(\w+)`\]", first, re.MULTILINE)) == set(STRATEGIES)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_option_and_default_stands_in_its_table(name: str) -> None:
    written = re.findall(r"^\| `(\w+)` \| `([^`]*)` \| \S.* \|$", SECTIONS[name], re.MULTILINE)
    assert [option for option, _ in written] == list(options_of(name))
    for option, default in written:
        value = options_of(name)[option]
        exact = pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
        assert ast.literal_eval(default) == exact, option


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_section_has_a_file_to_search_with(name: str) -> None:
    assert f'strategy = "{name}"' in SECTIONS[name]
    [file] = {inspect.getsourcefile(STRATEGIES[name])}
    assert name == "random" or str(Path(file).relative_to(ROOT)) in SECTIONS[name]


def _no_table() -> LatencyTable:
    raise AssertionError("A latency would have to be measured here.")


@pytest.mark.parametrize("text", [pytest.param(text, id=where) for where, text in WHOLE_FILES])
def test_configurations_are_read_and_their_strategies_made(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    config = read_config(tmp_path / "config.toml")
    space = load_space(config.space, **config.space_options)
    profilers = Profilers(space, _no_table)
    requests = [parse_budget(budget) for budget in config.budgets]
    budgets = [resolve(request, profilers) for request in requests if request.profiler != "latency"]
    require_feasible(space.space, budgets)
    split_options(config.strategy, config.strategy_options)
    made = make_strategy(config.strategy, space, budgets, profilers=profilers, seed=0, options=config.strategy_options)
    assert isinstance(made, STRATEGIES[config.strategy])


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_programs_run_word_for_word(tmp_path: Path, program: str) -> None:
    (tmp_path / "mine.py").write_text(program)
    done = subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("minus absolute error -", "['first']", "within the limit: True"))


def test_the_page_of_experiments_runs_word_for_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its programs as files in one folder, then every command as it stands there."""
    programs = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", EXPERIMENTS_PAGE, re.DOTALL)
    assert len(programs) == EXPERIMENTS_PAGE.count("```python")
    for name, text in programs:
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    [commands] = re.findall(r"```sh\n(.*?)```", EXPERIMENTS_PAGE, re.DOTALL)
    printed = {}
    for command in commands.splitlines():
        program, *arguments = command.split()
        if program == "python":
            done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=900)
            assert done.returncode == 0, done.stderr
            printed[command] = done.stdout
        else:
            assert program == "hwnas"
            with pytest.raises(SystemExit) as left:
                main(arguments)
            printed[command] = capsys.readouterr().out
            assert left.value.code == 0, command
    first = printed["python first.py"]
    assert "15 of 15 trials over, best accuracy 0.9" in first
    assert first.endswith(f", 15 complete\n{tmp_path / 'runs/first/top/top.json'}\n")
    assert printed["python second.py"].startswith("12 of 12 trials over, ")
    assert "15 trials added" in printed["hwnas export-optuna runs/first sqlite:///optuna.db"]
    assert '"complete": ' in printed["hwnas status runs/second --json"]
    assert len(printed["hwnas top runs/first -k 3"].splitlines()) == 5


def test_the_readme_lists_every_family_with_its_size() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d\.\de\d+) \|", readme, re.MULTILINE))
    assert set(rows) == {name for name in FAMILIES if not name.endswith(("_32", "_28", "_8"))}
    for name, size in rows.items():
        assert float(size) == pytest.approx(family(name).space.size, rel=0.05), name
