"""`import hwnas` loads nothing heavy, and every public name is where `hwnas/__init__.py` says."""

import ast
import importlib
import pathlib
import subprocess
import sys

import pytest

import hwnas

HEAVY = {"torch", "timm", "onnx", "onnxruntime", "accelerate", "plotly", "scipy", "sklearn"}


def loaded_after(statement: str) -> set[str]:
    """The modules of a fresh interpreter after `statement`."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_hwnas_loads_nothing_heavy() -> None:
    assert not loaded_after("import hwnas, hwnas.errors") & {*HEAVY, "numpy"}


def test_the_help_of_the_command_line_loads_nothing_heavy() -> None:
    assert not loaded_after("from hwnas.cli.main import app") & {*HEAVY, "numpy"}


def test_space_cost_solve_store_and_trial_do_not_load_torch() -> None:
    names = ("space", "cost", "solve", "store", "trial", "trace", "measurement")
    loaded = loaded_after("import " + ", ".join(f"hwnas.{name}" for name in names))
    assert not loaded & {"torch", "timm", "onnx", "onnxruntime", "accelerate"}
    assert "torch" not in loaded_after("import hwnas; hwnas.FunctionEvaluator, hwnas.TableEvaluator")


def test_importing_every_module_writes_nothing_and_sets_no_logging(tmp_path: pathlib.Path) -> None:
    names = sorted(
        ".".join(path.relative_to(pathlib.Path(hwnas.__file__).parents[1]).with_suffix("").parts)
        for path in pathlib.Path(hwnas.__file__).parent.rglob("*.py")
        if path.name not in {"__init__.py", "__main__.py"}
    )
    program = (
        "import importlib, logging, os\n"
        "before = dict(os.environ)\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "assert not [h for h in logging.getLogger('hwnas').handlers], 'logging was set up'\n"
        "changed = {k for k in {*before, *os.environ} if before.get(k) != os.environ.get(k) and 'HWNAS' in k}\n"
        "assert not changed, changed\n"
    )
    subprocess.run([sys.executable, "-B", "-c", program], check=True, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", hwnas.__all__)
def test_every_public_name_resolves_and_is_public_where_it_lives(name: str) -> None:
    home = importlib.import_module(hwnas._MODULE_OF[name])
    assert getattr(hwnas, name) is getattr(home, name)
    assert name in home.__all__
    assert name in dir(hwnas)


def test_the_type_checker_sees_the_same_names() -> None:
    tree = ast.parse(pathlib.Path(hwnas.__file__).read_text())
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.asname: node.module for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == hwnas._MODULE_OF


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'hwnas' has no attribute 'serach'"):
        hwnas.serach  # noqa: B018
