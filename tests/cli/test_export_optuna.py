import json
import pathlib
import sys

import optuna
import pytest

from tests.cli.runs import run, under_budget, whole_grid


def test_a_run_is_written_and_again_what_is_missing(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole_grid(tmp_path / "mine", budgets=[under_budget()]).run(10)
    storage = f"sqlite:///{tmp_path}/trials.db"
    code, printed, _ = run(capsys, "export-optuna", tmp_path / "mine", storage)
    assert (code, printed) == (0, "mine: 10 trials added, 10 altogether\n")
    whole_grid(tmp_path / "mine", budgets=[under_budget()]).run(15)
    code, printed, _ = run(capsys, "export-optuna", tmp_path / "mine", storage, "--json")
    assert code == 0
    assert json.loads(printed) == {"study": "mine", "num_added": 5, "num_trials": 15}
    study = optuna.load_study(study_name="mine", storage=storage)
    assert len(study.trials) == 15
    assert study.user_attrs["constraints"] == ["sum <= 6", "waste <= 2"]


def test_what_is_wrong_is_2(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = f"sqlite:///{tmp_path}/trials.db"
    code, _, said = run(capsys, "export-optuna", tmp_path, storage)
    assert code == 2
    assert "holds no run" in said
    whole_grid(tmp_path / "mine").run(2)
    optuna.create_study(study_name="theirs", storage=storage)
    code, _, said = run(capsys, "export-optuna", tmp_path / "mine", storage, "--study-name", "theirs")
    assert code == 2
    assert "has a study 'theirs' with other directions" in said
    code, _, said = run(capsys, "export-optuna", tmp_path / "mine", storage, "--study", "other")
    assert code == 2
    assert "no search 'other': its searches are 'trials'" in said
    monkeypatch.setitem(sys.modules, "optuna", None)  # what Python has for a package that cannot be imported
    code, _, said = run(capsys, "export-optuna", tmp_path / "mine", storage)
    assert code == 2
    assert "pip install 'hwnas[optuna]'" in said
