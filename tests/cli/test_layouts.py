"""Data in the published layouts through the command line: trained on, and every kind of broken one refused with 2."""

import json
import pathlib
import shutil
from collections.abc import Callable

import pytest

from hwnas.cli.main import main
from hwnas.testing.layouts import write_cifar10, write_image_folder, write_landmark_list

Break = Callable[[pathlib.Path], object]

SPACES = {"cifar10": "nasbench201", "image-folder": "mobilenet_v3_8", "landmark-list": "pfld"}
SPACE_OPTIONS = {"cifar10": "num_cells = 1", "image-folder": "", "landmark-list": "resolution = 32"}
OPTIONS = {
    "cifar10": "",
    "image-folder": 'image_size = 32\npreprocessing = "spos"',
    "landmark-list": "image_size = 32\nnum_workers = 1",
}


def write(folder: pathlib.Path, name: str) -> None:
    if name == "cifar10":
        write_cifar10(folder, num_train=50, num_test=10)
    elif name == "image-folder":
        write_image_folder(folder, train_per_class=6, val_per_class=1, image_size=36)
    else:
        write_landmark_list(folder, num_train=10, num_test=2, image_size=32)


def run(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], name: str, verb: str = "train", more: str = ""
) -> tuple[int, str, str]:
    config = tmp_path / "config.toml"
    config.write_text(
        f'space = "{SPACES[name]}"\n{more}\n[space_options]\n{SPACE_OPTIONS[name]}\n'
        f'[data]\nname = "{name}"\nfolder = "{tmp_path / "data"}"\n{OPTIONS[name]}\n'
        "[train]\nepochs = 1\nbatch_size = 8\n"
    )
    with pytest.raises(SystemExit) as left:
        main([verb, str(config), "--out", str(tmp_path / "run"), "--json"])
    captured = capsys.readouterr()
    assert isinstance(left.value.code, int)
    return left.value.code, captured.out, " ".join(captured.err.split())


@pytest.mark.parametrize(("name", "steps"), [("cifar10", 5), ("landmark-list", 1)])
def test_a_supernet_is_trained(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], name: str, steps: int
) -> None:
    write(tmp_path / "data", name)
    code, printed, error = run(tmp_path, capsys, name)
    assert code == 0, error
    assert json.loads(printed)["steps"] == steps


def remove(path: str) -> Break:
    return lambda folder: (folder / path).unlink()


def rewrite(path: str, change: Callable[[bytes], bytes]) -> Break:
    return lambda folder: (folder / path).write_bytes(change((folder / path).read_bytes()))


BATCH = "cifar-10-batches-py/data_batch_2"
TRAIN_LIST = "train_data/list.txt"


@pytest.mark.parametrize(
    ("name", "break_", "message"),
    [
        ("cifar10", remove(BATCH), "has no file data_batch_2; CIFAR-10 must lie in"),
        ("cifar10", rewrite(BATCH, lambda data: data[:99]), "data_batch_2 is no readable pickle"),
        (
            "cifar10",
            rewrite(BATCH, lambda data: b"cos\nsystem\n(S'true'\ntR."),
            "asks for os.system, which may run code",
        ),
        ("image-folder", lambda folder: shutil.rmtree(folder / "val"), "val is not a folder; images must lie in"),
        ("image-folder", remove("val/n00000003/n00000003_0.JPEG"), "n00000003"),
        ("image-folder", lambda folder: shutil.rmtree(folder / "val/n00000002"), "only one of them has n00000002"),
        ("landmark-list", remove(TRAIN_LIST), "train_data/list.txt cannot be read"),
        ("landmark-list", remove("train_data/imgs/3_face_0.png"), "1 of the 10 images in"),
        ("landmark-list", rewrite(TRAIN_LIST, lambda data: data.replace(b" ", b" 7 ", 1)), "line 1 has 217 fields"),
        (
            "landmark-list",
            rewrite(TRAIN_LIST, lambda data: data.replace(b" 0.", b" 5.", 1)),
            "line 1 has the coordinate",
        ),
    ],
)
def test_a_broken_layout_is_2(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], name: str, break_: Break, message: str
) -> None:
    write(tmp_path / "data", name)
    break_(tmp_path / "data")
    code, printed, error = run(tmp_path, capsys, name)
    assert (code, printed) == (2, "")
    assert message in error
    assert "Traceback" not in error


def test_a_search_refuses_it_as_well(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, error = run(tmp_path, capsys, "cifar10", "search", 'budgets = ["params<=1M"]')
    assert code == 2
    assert "has no file data_batch_1" in error


def test_a_damaged_image_in_a_worker_is_2(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "data", "landmark-list")
    for path in (tmp_path / "data" / "train_data" / "imgs").iterdir():
        path.write_bytes(b"no image")
    code, _, error = run(tmp_path, capsys, "landmark-list")
    assert code == 2
    assert "_face_0.png cannot be read" in error
    assert "Traceback" not in error


def test_a_preprocessing_for_other_data(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "config.toml"
    for options, message in (
        ('name = "digits"\npreprocessing = "spos"', "`preprocessing` is for the data set 'image-folder'"),
        (
            'name = "image-folder"\npreprocessing = "caffe"',
            "`data.preprocessing` is wrong: input should be 'imagenet' or",
        ),
    ):
        config.write_text(f'space = "mobilenet_v3_8"\n[data]\n{options}\n')
        with pytest.raises(SystemExit) as left:
            main(["train", str(config), "--out", str(tmp_path / "run")])
        assert left.value.code == 2
        assert message in " ".join(capsys.readouterr().err.split())
