import sqlite3

import pytest

from hwnas.errors import RunDirectoryError, StoreError
from hwnas.experiment.phases import Phases, ignore
from hwnas.experiment.run_directory import SPACE, STORE_NAME, open_run
from hwnas.store import Trial


def test_the_same_configuration_goes_on(tmp_path):
    with open_run(tmp_path / "run", {"seed": 1, "budgets": ("a",)}) as store:
        store.set_fact("x", 1)
    with open_run(tmp_path / "run", {"budgets": ("a",), "seed": 1}) as store:
        assert store.fact("x") == 1


def test_another_configuration_is_refused_by_key(tmp_path):
    with open_run(tmp_path / "run", {"seed": 1, "train": {"epochs": 2}}) as store:
        store.set_fact("x", 1)
    with pytest.raises(RunDirectoryError, match=r"train.epochs is 2 there and 3 here. Give another folder"):
        open_run(tmp_path / "run", {"seed": 1, "train": {"epochs": 3}})


def test_a_run_that_has_done_nothing_becomes_another(tmp_path):
    with open_run(tmp_path / "run", {"budget": "macs<=1"}) as store, Phases(store, ignore)("search"):
        store.set_fact(SPACE, {})
        (tmp_path / "run" / "search").mkdir()  # as a training makes it at once
        for file in ("table.sqlite.onnx/reference.onnx", "workers/worker-0.log"):  # measured; could not start
            (tmp_path / "run" / file).parent.mkdir()
            (tmp_path / "run" / file).write_bytes(b"")
    with open_run(tmp_path / "run", {"budget": "macs<=1M"}) as store:
        assert store.fact("configuration") == {"budget": "macs<=1M"}


def test_a_run_that_was_killed_before_its_database_was_whole(tmp_path):
    for name in (".lock", ".new", ".new-journal"):
        (tmp_path / f"{STORE_NAME}{name}").write_bytes(b"")
    with open_run(tmp_path, {"seed": 1}) as store:
        assert store.fact("configuration") == {"seed": 1}


@pytest.mark.parametrize("done", ["a trial", "a fact", "a checkpoint"])
def test_a_run_that_has_done_anything_stays_what_it_is(tmp_path, done):
    with open_run(tmp_path / "run", {"seed": 1}) as store:
        if done == "a trial":
            store.ask(Trial(study="", number=0, architecture={}))
        elif done == "a fact":
            store.set_fact("candidate", 1)
        else:
            (tmp_path / "run" / "search").mkdir()
            (tmp_path / "run" / "search" / "step-000000001.safetensors").write_bytes(b"")
    with pytest.raises(RunDirectoryError, match="seed is 1 there and 2 here"):
        open_run(tmp_path / "run", {"seed": 2})
    with open_run(tmp_path / "run", {"seed": 1}) as store:
        assert store.fact("configuration") == {"seed": 1}


def test_a_run_in_use_is_refused(tmp_path):
    with open_run(tmp_path / "run", {}), pytest.raises(RunDirectoryError, match=r"in use.*pid \d+"):
        open_run(tmp_path / "run", {})


def test_whatever_is_wrong_lets_the_next_one_in(tmp_path):
    with pytest.raises(TypeError, match="not JSON serializable"):
        open_run(tmp_path / "run", {"evaluator": object()})
    open_run(tmp_path / "run", {"evaluator": "f"}).close()


def test_foreign_folders_and_files_are_left_alone(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("mine")
    with pytest.raises(RunDirectoryError, match="is not empty and holds no run"):
        open_run(tmp_path / "folder", {})
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["thesis.txt"]
    with pytest.raises(RunDirectoryError, match="is a file; a run is a folder"):
        open_run(tmp_path / "folder" / "thesis.txt", {})


def test_a_truncated_or_foreign_database_is_left_as_it_is(tmp_path):
    open_run(tmp_path / "run", {}).close()
    database = tmp_path / "run" / STORE_NAME
    content = database.read_bytes()
    database.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError, match="truncated"):
        open_run(tmp_path / "run", {})
    assert database.read_bytes() == content[: len(content) // 2]
    database.unlink()
    connection = sqlite3.connect(database)
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(StoreError, match="not a run's trials of hwnas"):
        open_run(tmp_path / "run", {})
