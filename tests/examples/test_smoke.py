"""`--smoke`: made-up images only where no others are given, in a folder of their own."""

import pytest

from hwnas.testing.layouts import write_cifar10
from tests.examples.programs import call


@pytest.mark.parametrize(
    ("program", "where", "out"),
    [
        ("darts/search.py", "--data-dir", "--out"),
        ("darts/retrain.py --nodes 4 --arch-checkpoint darts-v1", "--data-dir", "--out"),
        ("enas/search.py", "--data-dir", "--out"),
        ("pfld/train.py", "--data_root", "--snapshot"),
        ("proxylessnas/main.py", "--data-dir", "--out"),
        ("spos/supernet.py", "--data-dir", "--out"),
    ],
)
def test_images_that_are_given_are_used(program, where, out, tmp_path, capsys):
    program, *arguments = program.split()
    assert call(program, *arguments, "--smoke", where, tmp_path / "none", out, tmp_path / "out") == 2
    assert f"{tmp_path / 'none'}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_folder_of_the_real_images_may_be_in_that_of_the_results(tmp_path):
    write_cifar10(tmp_path / "data", num_train=20, num_test=10)
    before = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    assert call("darts/search.py", "--smoke", "--out", tmp_path, "--device", "none") == 2
    assert (tmp_path / "smoke-data" / "cifar-10-batches-py" / "data_batch_1").is_file()
    assert {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()} == before
