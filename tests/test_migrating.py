"""docs/migrating.md: what it says is here is here, and nothing that the old systems' pages mention is left out."""

import importlib
import inspect
import io
import re
import runpy
import subprocess
import sys
import textwrap
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import torch
from torch import nn

import hwnas
from tests.examples.programs import own_modules

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PAGE = (ROOT / "docs" / "migrating.md").read_text(encoding="utf-8")
ROWS = [(there, here) for there, here in re.findall(r"^\| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)]
LEFT = "\n".join(there for there, _ in ROWS)
CODE = [code for _, here in ROWS for code in re.findall(r"`([^`]+)`", here)]
NAMES = sorted({code for code in CODE if code.startswith("hwnas.")})
PROGRAMS = [code.split() for code in CODE if code.startswith("examples/") and ".py" in code]
VERBS = sorted({code.split()[1] for code in CODE if code.startswith("hwnas ")})
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
REFERENCE = ROOT.parent / "shared" / "reference"


def found(dotted: str) -> object:
    """The object of a dotted name; attributes of classes too."""
    parts = dotted.split(".")
    value: object = importlib.import_module(parts[0])
    for number, name in enumerate(parts[1:], start=2):
        if not hasattr(value, name):
            importlib.import_module(".".join(parts[:number]))
        value = getattr(value, name)
    return value


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there_with_its_arguments(name):
    dotted, _, arguments = name.rstrip(")").partition("(")
    value = found(dotted)
    taken = set(inspect.signature(value).parameters) if arguments else set()
    if dotted == "hwnas.search":  # passes its options on
        taken |= set(inspect.signature(found("hwnas.search_each")).parameters)
    assert set(re.findall(r"\w+", arguments)) <= taken


def help_of(program: str) -> str:
    """What `program --help` prints, in this process, which is quicker."""
    printed = io.StringIO()
    with own_modules((ROOT / program).parent), redirect_stdout(printed):
        main = runpy.run_path(str(ROOT / program))["main"]
        with pytest.raises(SystemExit) as ended:
            main(["--help"])
    assert ended.value.code == 0
    return printed.getvalue()


@pytest.mark.parametrize("program", sorted({program for program, *_ in PROGRAMS}))
def test_every_option_is_in_the_programs_help(program):
    options = {option for name, *options in PROGRAMS if name == program for option in options}
    known = set(re.findall(r"(?<![\w-])--?\w[\w-]*", help_of(program)))
    assert all(option.startswith("-") for option in options)
    assert options <= known


def test_every_verb_answers():
    from typer.testing import CliRunner

    from hwnas.cli.main import app

    assert {"search", "measure", "retrain", "spaces", "verify"} <= set(VERBS)
    for verb in VERBS:
        assert CliRunner().invoke(app, [verb, "--help"]).exit_code == 0, verb


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_snippets_run_word_for_word(number, tmp_path):
    (tmp_path / "mine.py").write_text(SNIPPETS[number])
    done = subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    # 3 * 8 * 3 * 3 weights at 8 * 8 places, and 0 more: MACs of the convolution called "conv"
    assert done.stdout.split() == [["13824", "True"], ["True"]][number]


PROSE = {
    "ARMv8",
    "AutoML",
    "DNNs",
    "FBNet",
    "FLOPs",
    "GPUs",
    "HardCoRe",
    "HardwareAwareNAS",
    "ImageNet",
    "MLSys",
    "MobiSys",
    "MobileNet",
    "PeleeNet",
    "PyTorch",
}
"""Words of the pages in mixed case that are no code: of papers, networks and hardware."""
ADDRESSES = {"nni.git", "nni.readthedocs.io"}
LOCAL = {
    "baseline_old",
    "content_CVPRW_2020",
    "eccv_2020",
    "evolution_strategy",
    "papers_ECCV",
    "state_dict",
    "nn_meter",
}
"""Words with underscores that are no interface: of addresses and formulas, and variables of the snippets."""


def pages() -> dict[str, str]:
    if not REFERENCE.is_dir():
        pytest.skip("the pages of the old systems are not part of the project; they are not here")
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(REFERENCE.glob("*.txt"))}


def test_every_class_and_function_of_the_old_systems_is_on_the_left():
    text = "\n".join(pages().values())
    mixed = set(re.findall(r"\b(?:[A-Z][a-z]+[A-Z]|[A-Z]{2,}[a-z])\w*", text)) - PROSE
    dotted = {name.rpartition(".")[2] for name in re.findall(r"\bnni(?:\.\w+)+", text) if name not in ADDRESSES}
    imported = set(re.findall(r"\w+", " ".join(re.findall(r"^ *from \S+ import (.+)$", text, re.MULTILINE))))
    wanted = mixed | dotted | imported
    assert {"DartsTrainer", "LookUpTable", "Chain", "NnMeterProfiler", "replace_layer_choice", "PRIMITIVES"} <= wanted
    assert wanted - set(re.findall(r"\w+", LEFT)) == set()


def test_every_argument_of_the_old_systems_is_on_the_left():
    text = "\n".join(pages().values())
    signatures = re.findall(r"^(?:class )?nni[\w.]+\((.+)\)\[source\]$", text, re.MULTILINE)
    named = {
        name for signature in signatures for name in re.findall(r"(\w+)(?==|,|$)", signature) if name.isidentifier()
    }
    strings = set(re.findall(r"\b(?:ir|ds|cn)_r\d\w*", text))
    underscored = set(re.findall(r"\b[a-z]+(?:_\w+)+", text)) - LOCAL - strings
    wanted = {name for name in named | underscored if not name.isupper() and name not in ("None", "False", "True")}
    assert {"ctrl_steps_aggregate", "warmup_epochs", "applied_hardware", "search_space", "init_fn"} <= wanted
    assert wanted - set(re.findall(r"\w+", LEFT)) == set()


def test_every_option_and_program_of_the_old_systems_is_on_the_left():
    text = "\n".join(pages().values())
    options = set(re.findall(r"(?<![\w-])--\w[\w-]+", text))
    programs = set(re.findall(r"\b\w+\.py\b", text))
    assert {"--inference_time_limit", "--arc-checkpoint"} <= options
    assert {"validate.py", "evaluation.py"} <= programs
    assert options - set(re.findall(r"--\w[\w-]+", LEFT)) == set()
    assert programs - set(re.findall(r"\b\w+\.py\b", LEFT)) == set()


OLD_IMPORTS = {
    "nni.nas.strategy": "hwnas.strategy.unbound",
    "nni.nas.strategy.middleware": "hwnas.strategy.unbound",
    "nni.nas.oneshot.pytorch.profiler": "hwnas.strategy.unbound",
    "nni.nas.profiler.pytorch.flops": "hwnas",
}


def test_the_snippets_of_the_old_systems_run_with_their_imports_changed():
    page = pages()["003_e53f61ae1dc8a447.txt"]
    snippets = [textwrap.dedent(block) for block in re.findall(r"::\n\n((?: {4}.*\n|\s*\n)+)", page)]
    assert len(snippets) == 4
    layer = hwnas.LayerChoice({"conv": nn.Linear(3, 3), "skip": nn.Identity()}, label="layer1")
    module = nn.Sequential(layer)
    dummy_input = torch.randn(1, 3)
    names = {"net": module, "model_space": module, "dummy_input": dummy_input, "torch": torch}
    names |= {"ModelSpace": hwnas.ModelSpace, "filter": None}
    made = []
    for snippet in snippets:
        changed = re.sub(r"(?<=from )(nni\S+)(?= import)", lambda found: OLD_IMPORTS[found[1]], snippet)
        exec(changed, names)
        made.append(dict(names))
    assert made[0]["flops"] == 3 * 3  # weights of the linear layer
    assert (made[3]["penalty"].min, made[3]["penalty"].max) == (200e6, 300e6)
    space = hwnas.ModelSpace(module, dummy_input)
    for after, kind in ((made[2], hwnas.ProxylessNAS), (made[3], hwnas.ENAS)):
        assert isinstance(after["strategy"](space, (), seed=0), kind)
    chained = made[1]["strategy"](space.space, (), seed=0)
    drawn = chained.ask(4)
    assert drawn
    assert all(made[1]["profiler"].profile(each.architecture) < 300e6 for each in drawn)
