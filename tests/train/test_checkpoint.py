"""Checkpoints: durable, whole, of one run; damaged, foreign and other ones refused; a full disk."""

import resource

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hwnas.errors import CheckpointError
from hwnas.train import Recipe, latest_checkpoint, load_supernet, read_checkpoint, save_supernet, train_supernet
from tests.train.examples import make_space, make_splits

RECIPE = Recipe(epochs=2, batch_size=16)


@pytest.fixture
def directory(tmp_path):
    train_supernet(make_space(), make_splits(), RECIPE, seed=1, directory=tmp_path, max_steps=12)
    return tmp_path


LAST, BEFORE = "step-000000012.safetensors", "step-000000009.safetensors"


def damage(path, how):
    data = path.read_bytes()
    path.write_bytes({"truncated": data[:-7], "empty": b"", "noise": b"\x01" * 100, "header": data[:50]}[how])


@pytest.mark.parametrize("how", ["truncated", "empty", "noise", "header"])
def test_damaged(directory, how):
    damage(directory / LAST, how)
    with pytest.raises(CheckpointError, match=f"{LAST} is missing, truncated or not a checkpoint"):
        read_checkpoint(directory / LAST)
    with pytest.warns(UserWarning, match=f"{LAST} is missing.*Going on from .*{BEFORE}"):
        assert latest_checkpoint(directory).step == 9
    damage(directory / BEFORE, how)
    with pytest.raises(CheckpointError, match=LAST):
        train_supernet(make_space(), make_splits(), RECIPE, seed=1, directory=directory)
    assert (directory / LAST).stat().st_size < 10_000_000  # nothing written over


def test_resumes_from_the_last_good_one(directory):
    damage(directory / LAST, "truncated")
    with pytest.warns(UserWarning, match="Going on from"):
        result = train_supernet(make_space(), make_splits(), RECIPE, seed=1, directory=directory)
    assert (result.resumed_from, result.step) == (9, 18)


def test_foreign(directory):
    save_file({"a": torch.zeros(1)}, directory / "step-000000099.safetensors")
    with pytest.raises(CheckpointError, match="is not a checkpoint of this version of hwnas: its format is None"):
        read_checkpoint(directory / "step-000000099.safetensors")


def test_record_of_another_shape(directory):
    metadata = {"format": "hwnas checkpoint 1", "checkpoint": '{"step": 3}'}
    save_file({"a": torch.zeros(1)}, directory / LAST, metadata=metadata)
    with pytest.raises(CheckpointError, match="its record cannot be read"):
        read_checkpoint(directory / LAST)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 2}, "seed is 1 there and 2 here"),
        ({"recipe": Recipe(epochs=3, batch_size=16)}, "recipe.epochs is 2 there and 3 here"),
        ({"splits": make_splits(seed=9)}, "splits.search is .* there and .* here, splits.test is"),
        ({"space": make_space(elastic=True)}, "subject is '[0-9a-f]{64}' there"),
    ],
)
def test_another_run(directory, change, message):
    arguments = {"space": make_space(), "splits": make_splits(), "recipe": RECIPE, "seed": 1} | change
    before = sorted(path.name for path in directory.iterdir())
    with pytest.raises(CheckpointError, match=f"is of another run: {message}"):
        train_supernet(
            arguments["space"],
            arguments["splits"],
            arguments["recipe"],
            seed=arguments["seed"],
            directory=directory,
        )
    assert sorted(path.name for path in directory.iterdir()) == before


def test_load_supernet(directory):
    trained, fresh = make_space(), make_space(seed=3)
    train_supernet(trained, make_splits(), RECIPE, seed=1, directory=directory)
    for path in (directory, directory / "step-000000018.safetensors"):
        checkpoint = load_supernet(fresh, path)
        assert checkpoint.finished
        for name, tensor in trained.state_dict().items():
            assert torch.equal(tensor, fresh.state_dict()[name])


def test_load_supernet_of_another_space(directory, tmp_path):
    with pytest.raises(CheckpointError, match=r"is a supernet of [0-9a-f]{12}, not a supernet of this space"):
        load_supernet(make_space(elastic=True), directory)
    with pytest.raises(CheckpointError, match=r"does not fit the model: module\.6\.\w+ has the shape \(3.* and \(4"):
        load_supernet(make_space(outputs=4), directory)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        load_supernet(make_space(), tmp_path / "empty")
    with pytest.raises(CheckpointError, match="is missing"):
        load_supernet(make_space(), tmp_path / "nowhere")


def test_weights_of_others_are_no_supernet_yet(tmp_path):
    torch.save(make_space().state_dict(), tmp_path / "weights.pth")
    with pytest.raises(
        CheckpointError, match=r"weights\.pth is missing, .* weights of others become one by `hwnas train"
    ):
        load_supernet(make_space(), tmp_path / "weights.pth")


def test_training_begins_with_given_weights(tmp_path):
    expected, found = make_space(seed=5), make_space(seed=9)
    given = {name: tensor.clone() for name, tensor in expected.state_dict().items()}
    train_supernet(expected, make_splits(), RECIPE, seed=1)
    train_supernet(found, make_splits(), RECIPE, seed=1, weights=given, directory=tmp_path)
    for name, tensor in expected.state_dict().items():
        assert torch.equal(tensor, found.state_dict()[name])
    again = make_space(seed=7)
    result = train_supernet(again, make_splits(), RECIPE, seed=1, weights=given, directory=tmp_path)
    assert result.resumed_from == result.num_steps
    with pytest.raises(
        CheckpointError, match=r"another run: roles.given weights is '[0-9a-f]{64}' there and None here"
    ):
        train_supernet(again, make_splits(), RECIPE, seed=1, directory=tmp_path)
    with pytest.raises(CheckpointError, match="weights seem to be of other options"):
        train_supernet(make_space(outputs=4), make_splits(), RECIPE, seed=1, weights=given)


def test_given_weights_are_kept_as_a_supernet(tmp_path):
    given, fresh = make_space(), make_space(seed=3)
    folder = save_supernet(given, tmp_path / "given")
    checkpoint = load_supernet(fresh, folder)
    assert checkpoint.finished
    for name, tensor in given.state_dict().items():
        assert torch.equal(tensor, fresh.state_dict()[name])
    (file,) = folder.iterdir()
    content = file.read_bytes()
    assert save_supernet(fresh, folder) == folder  # the same weights: nothing to do
    with pytest.raises(CheckpointError, match=r"another run: roles.given weights is '[0-9a-f]{64}' there"):
        save_supernet(make_space(seed=4), folder)
    assert [file.read_bytes() for file in folder.iterdir()] == [content]


def test_a_trained_supernet_is_not_written_over(directory):
    train_supernet(make_space(), make_splits(), RECIPE, seed=1, directory=directory)
    before = sorted(path.name for path in directory.iterdir())
    with pytest.raises(CheckpointError, match=r"is of another run: recipe\.batch_size is"):
        save_supernet(make_space(), directory)
    assert sorted(path.name for path in directory.iterdir()) == before


def test_full_disk(directory):
    """A limit on the size of files stands for the disk: writing fails half-way with an OSError, as it would there."""
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=f"cannot be written .* Free some space.*goes on from .*{LAST}"):
            train_supernet(make_space(), make_splits(), RECIPE, seed=1, directory=directory)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == before


def test_directory_that_cannot_be(tmp_path):
    """Said before the first step, which could not be kept."""
    (tmp_path / "file").write_text("")
    steps = []
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CheckpointError, match=r"cannot be a folder of checkpoints .* Give another path"):
            train_supernet(make_space(), make_splits(), RECIPE, seed=1, directory=folder, progress=steps.append)
    assert steps == []


def test_directory_that_is_gone_at_the_first_checkpoint(tmp_path):
    def replace(step):
        if (tmp_path / "run").is_dir():
            (tmp_path / "run").rmdir()
            (tmp_path / "run").write_text("")

    with pytest.raises(CheckpointError, match=r"cannot be written .* it goes on from the beginning"):
        train_supernet(make_space(), make_splits(), RECIPE, seed=1, directory=tmp_path / "run", progress=replace)


def test_shared_parameters_are_stored_once(tmp_path):
    from hwnas.train import fine_tune

    def tied():
        torch.manual_seed(0)
        first, second = nn.Linear(36, 36), nn.Linear(36, 36)
        second.weight = first.weight
        return nn.Sequential(nn.Flatten(), first, nn.ReLU(), second, nn.Linear(36, 3))

    whole, resumed = tied(), tied()
    fine_tune(whole, make_splits(), RECIPE, seed=0)
    fine_tune(tied(), make_splits(), RECIPE, seed=0, directory=tmp_path, max_steps=5)
    fine_tune(resumed, make_splits(), RECIPE, seed=0, directory=tmp_path)
    assert torch.equal(whole[1].weight, resumed[3].weight)
