"""The floors of the design hold: a package imports its own and lower floors, nothing else."""

import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / "hwnas"
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "core", "base"}
# A third-party runtime, tracker or engine is imported in exactly one file; the exporter and the runtime are two jobs.
ONE_FILE_EACH = ("onnxruntime", "accelerate", "plotly")


def test_the_import_contracts_are_kept() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_package_stands_on_a_floor() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    on_floors = {name for layer in layers for name in re.split(r"\s*[|:]\s*", layer)}
    parts = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert on_floors == {f"hwnas.{part}" for part in parts if not part.startswith("_")}


def test_nothing_inside_imports_the_lazy_face() -> None:
    offenders = [
        str(path.relative_to(ROOT))
        for path in PACKAGE.rglob("*.py")
        if re.search(r"^\s*(import hwnas$|import hwnas as|from hwnas import )", path.read_text(), re.MULTILINE)
    ]
    assert offenders == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [str(path) for path in PACKAGE.rglob("*") if path.stem in FORBIDDEN_NAMES] == []


@pytest.mark.parametrize("engine", ONE_FILE_EACH)
def test_an_engine_is_imported_in_exactly_one_file(engine: str) -> None:
    pattern = re.compile(rf"^\s*(import|from) {engine}\b", re.MULTILINE)
    files = [str(path.relative_to(ROOT)) for path in PACKAGE.rglob("*.py") if pattern.search(path.read_text())]
    assert len(files) == 1, files


def test_the_licence_and_the_typing_marker_are_shipped() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert (PACKAGE / "py.typed").exists()
