"""Functions of a program that is begun in different ways, found again in another process."""

import subprocess
import sys

import pytest

from hwnas.errors import ConfigError
from hwnas.trial.imported import imported, reference_text

PROGRAM = """
import sys
{imports}
from hwnas.trial.imported import reference_text

def train(architecture):
    return {value}

if __name__ == "__main__":
    print(reference_text(train))
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A script, and a package of which a module and the package itself are programs that import relatively."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    package = tmp_path / "package_of_test_imported"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "numbers.py").write_text("TWO = 2")
    (tmp_path / "script_of_test_imported.py").write_text(PROGRAM.format(imports="", value="2"))
    for name in ("__main__", "program"):
        (package / f"{name}.py").write_text(PROGRAM.format(imports="from .numbers import TWO", value="TWO"))
    yield tmp_path
    for name in [name for name in sys.modules if "_of_test_imported" in name]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("script_of_test_imported.py",), "{project}/script_of_test_imported.py:train"),
        (("-m", "script_of_test_imported"), "script_of_test_imported:train"),
        (("-m", "package_of_test_imported.program"), "package_of_test_imported.program:train"),
        (("-m", "package_of_test_imported"), "package_of_test_imported.__main__:train"),
    ],
)
def test_however_the_program_was_begun(project, arguments, expected):
    program = subprocess.run(
        [sys.executable, *arguments], cwd=project, check=True, capture_output=True, text=True, timeout=300
    )
    reference = program.stdout.strip()
    assert reference == expected.format(project=project)
    assert imported(reference)({}) == 2


class Trained:
    def train(self, architecture):
        return 1.0

    @classmethod
    def trained(cls, architecture):
        return 2.0


def test_a_method_of_an_object_cannot_be_found_again():
    """Its class has a function of that name, which is another one."""
    with pytest.raises(ConfigError, match=r"Trained\.train cannot be found again .* objects and their methods run in"):
        reference_text(Trained().train)
    assert reference_text(Trained.trained).endswith(":Trained.trained")
