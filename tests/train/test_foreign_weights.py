from __future__ import annotations

import argparse
import contextlib
import http.server
import os
import pickle
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from hwnas.errors import CheckpointError
from hwnas.nn.families import family, published_network
from hwnas.train import Checkpoint, Run, load_weights, read_weights
from hwnas.train.checkpoint import write_checkpoint

from ..nn.families.spos_supernet import save_as_published, tiny_supernet


def network(outputs: int = 2) -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, outputs))


WEIGHTS = {name: torch.randn_like(tensor, dtype=torch.float32) for name, tensor in network().state_dict().items()}


class Code:
    """Pickled, it is a call: what a hostile file does."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("made-by-a-pickle",)


def equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.bin", "a.pth.tar"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: weights,
        lambda weights: {"state_dict": weights, "epoch": 3, "best_acc1": torch.tensor(70.0)},
        lambda weights: {"model": weights, "optimizer": {"state": {0: {"step": torch.zeros(())}}}},
        lambda weights: {"net": {f"module.{name}": tensor for name, tensor in weights.items()}},
        lambda weights: {"pfld": {f"module._orig_mod.{name}": tensor for name, tensor in weights.items()}},
        lambda weights: {"state_dict": {"a": torch.zeros(1)}, "state_dict_ema": weights, "args": argparse.Namespace()},
    ],
    ids=["plain", "imagenet", "model", "parallel", "other entry", "averaged"],
)
def test_weights_are_found_in_the_files_of_training_programs(tmp_path: Path, name: str, wrap: object) -> None:
    assert callable(wrap)
    torch.save(wrap(WEIGHTS), tmp_path / name, _use_new_zipfile_serialization=name != "a.pth.tar")
    assert equal(read_weights(tmp_path / name), WEIGHTS)
    assert equal(read_weights(str(tmp_path / name)), WEIGHTS)


def test_safetensors_and_checkpoints_of_our_own(tmp_path: Path) -> None:
    save_file({f"module.{name}": tensor for name, tensor in WEIGHTS.items()}, tmp_path / "a.safetensors")
    assert equal(read_weights(tmp_path / "a.safetensors"), WEIGHTS)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    run = Run(kind="fine_tune", subject="", recipe={}, seed=0, splits={}, roles={})
    checkpoint = Checkpoint.of(model, optimizer, run=run, step=1, num_steps=1, loss_sum=0.0)
    assert equal(read_weights(write_checkpoint(tmp_path, checkpoint)), model.state_dict())


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_files_that_run_code_are_refused_and_do_not_run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": WEIGHTS, "hook": Code()}, "new.pth")
    torch.save({"state_dict": WEIGHTS, "hook": Code()}, "old.pth", _use_new_zipfile_serialization=False)
    torch.save(network(), "module.pth")
    torch.save({"state_dict": WEIGHTS, "best": np.float64(70)}, "numpy.pth")
    code = os.mkdir.__module__ + ".mkdir"
    numpy = r"numpy\._?core\.multiarray\.scalar"
    for name, needs in {"new": code, "old": code, "module": r"torch\.\S+\.Sequential", "numpy": numpy}.items():
        with pytest.raises(CheckpointError, match=rf"{name}\.pth is a pickle that runs code .*: it needs {needs}"):
            read_weights(f"{name}.pth")
    for protocol in range(6):
        with open("plain.pth", "wb") as file:
            pickle.dump({"state_dict": Code()}, file, protocol=protocol)
        with pytest.raises(CheckpointError, match=r"runs code when it is read|may run code|nothing that PyTorch knows"):
            read_weights("plain.pth")
    torch.jit.save(torch.jit.trace(nn.Linear(3, 2), torch.zeros(1, 3)), "script.pt")
    with pytest.raises(CheckpointError, match="TorchScript, which is code"):
        read_weights("script.pt")
    assert not Path("made-by-a-pickle").exists()


def test_files_that_are_cut_off_or_something_else(tmp_path: Path) -> None:
    torch.save({"state_dict": WEIGHTS}, tmp_path / "new.pth")
    torch.save({"state_dict": WEIGHTS}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("new.pth", "old.pth"):
        whole = (tmp_path / name).read_bytes()
        for length in (0, 1, 10, len(whole) // 2, len(whole) - 1):
            (tmp_path / name).write_bytes(whole[:length])
            with pytest.raises(CheckpointError, match=rf"{name} is truncated, damaged, or no file of weights \(.+\)\."):
                read_weights(tmp_path / name)
    (tmp_path / "page.pth").write_text("<!DOCTYPE html>")  # of a server that wants a login
    with pytest.raises(CheckpointError, match="nothing that PyTorch knows"):
        read_weights(tmp_path / "page.pth")
    save_file(WEIGHTS, tmp_path / "a.safetensors")
    whole = (tmp_path / "a.safetensors").read_bytes()
    for length in (0, 10, len(whole) - 1):
        (tmp_path / "a.safetensors").write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="is no safetensors file of weights, or damaged"):
            read_weights(tmp_path / "a.safetensors")


def test_a_damaged_byte_is_told_or_does_no_harm(tmp_path: Path) -> None:
    torch.save({"state_dict": WEIGHTS}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    whole = bytearray((tmp_path / "a.pth").read_bytes())
    random = np.random.default_rng(0)
    for place in random.integers(len(whole), size=200):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(random.integers(8))
        (tmp_path / "a.pth").write_bytes(damaged)
        with contextlib.suppress(CheckpointError):  # any other error fails
            read_weights(tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list, not tensors by name"),
        ({}, "holds nothing, not tensors by name"),
        ({"epoch": 3}, "holds 1 entries that are no tensors, such as 'epoch'"),
        ({**WEIGHTS, "epoch": 3}, "holds 1 entries that are no tensors, such as 'epoch'"),
        ({"encoder": WEIGHTS, "decoder": WEIGHTS}, "has weights in several entries: encoder, decoder. Save the one"),
    ],
)
def test_files_without_weights(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=message):
        read_weights(tmp_path / "a.pth")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"The file of weights \S+none.pth is missing"):
        read_weights(tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_weights(tmp_path)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the files in `tmp_path / "served"`."""
    (tmp_path / "served").mkdir()
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        thread.join()


def test_addresses_are_fetched_when_asked_and_once(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    for folder in ("one", "two"):  # two files of one name
        (tmp_path / "served" / folder).mkdir()
    torch.save(WEIGHTS, tmp_path / "served" / "one" / "best.pth")
    save_file({"other": torch.ones(2)}, tmp_path / "served" / "two" / "best.safetensors")
    with pytest.raises(
        CheckpointError, match=r"is an address, .*only when asked: give allow_url=True \(on the command"
    ):
        read_weights(f"{server}/one/best.pth")
    assert not (tmp_path / "hub").exists()
    assert equal(read_weights(f"{server}/one/best.pth", allow_url=True), WEIGHTS)
    assert "100%" in capfd.readouterr().err  # progress
    assert list(read_weights(f"{server}/two/best.safetensors?download=1", allow_url=True)) == ["other"]
    (tmp_path / "served" / "one" / "best.pth").unlink()
    assert equal(read_weights(f"{server}/one/best.pth", allow_url=True), WEIGHTS)
    with pytest.raises(CheckpointError, match=r"cannot be fetched into .*404"):
        read_weights(f"{server}/none.pth", allow_url=True)


def test_weights_are_copied_into_a_network() -> None:
    model = network()
    load_weights(model, {name: tensor.double() for name, tensor in WEIGHTS.items()})
    assert {name: tensor.dtype for name, tensor in model.state_dict().items()} == {
        name: tensor.dtype for name, tensor in network().state_dict().items()
    }
    torch.testing.assert_close(model[0].weight, nn.Parameter(WEIGHTS["0.weight"]))
    torch.testing.assert_close(model[1].running_mean, WEIGHTS["1.running_mean"])
    load_weights(nn.DataParallel(network()), WEIGHTS)
    load_weights(network(), {f"module.{name}": tensor for name, tensor in WEIGHTS.items()})


def test_files_of_before_batch_norms_counted() -> None:
    model = network()
    load_weights(model, {name: t for name, t in WEIGHTS.items() if "num_batches_tracked" not in name})
    torch.testing.assert_close(model[1].running_var, WEIGHTS["1.running_var"])
    assert model[1].num_batches_tracked == 0


def test_names_are_mapped_and_dropped() -> None:
    model = network()
    given = {f"layer_{name}": tensor for name, tensor in WEIGHTS.items()} | {"total_ops": torch.zeros(1)}
    load_weights(model, given, rename=lambda name: None if name == "total_ops" else name.removeprefix("layer_"))
    torch.testing.assert_close(model[2].bias, nn.Parameter(WEIGHTS["2.bias"]))
    with pytest.raises(CheckpointError, match="must give every weight a name of its own; two are called 'one'"):
        load_weights(model, given, rename=lambda _: "one")


def test_what_does_not_fit_is_listed_and_nothing_is_changed() -> None:
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    given = {name: tensor for name, tensor in WEIGHTS.items() if name != "0.bias"} | {"3.weight": torch.zeros(2)}
    with pytest.raises(
        CheckpointError,
        match=r"other options: of 9 tensors here and 9 there, 1 missing: 0\.bias; 1 unknown: 3\.weight\. Build the",
    ):
        load_weights(model, given)
    with pytest.raises(
        CheckpointError, match=r"2 of another shape: 2\.weight \(2, 4\), not \(5, 4\), 2\.bias \(2,\), not"
    ):
        load_weights(network(5), WEIGHTS)
    with pytest.raises(
        CheckpointError, match=r"seem to be of another network: of 9 tensors here and 0 there, 8 missing"
    ):
        load_weights(model, {})
    many = {f"layer{i}.weight": torch.zeros(1) for i in range(12)}
    with pytest.raises(CheckpointError) as raised:
        load_weights(model, many)
    text = str(raised.value)
    assert text.startswith(
        "The weights seem to be of another network: of 9 tensors here and 12 there, 8 missing: 0.weight"
    )
    assert "12 unknown: layer0.weight, " in text
    assert "layer9.weight and others. Give the weights of this network" in text
    assert "layer10" not in text
    assert equal(model.state_dict(), before)


def test_another_network_is_named() -> None:
    """The error of one who has mixed up files says what the file has."""
    given = published_network("hardcorenas-b", num_classes=10).state_dict()
    with pytest.raises(
        CheckpointError, match="seem to be of the published network 'hardcorenas-b': of 240 tensors here"
    ):
        load_weights(published_network("hardcorenas-a"), given)


def test_a_supernet_takes_its_weights_and_those_of_published_names(tmp_path: Path) -> None:
    theirs = tiny_supernet()
    weights = read_weights(save_as_published(theirs, tmp_path / "checkpoint-150000.pth.tar"))
    space, again = family("shufflenet_v2_8"), family("shufflenet_v2_8")
    load_weights(space, weights)
    expected = theirs.features[3][3].branch_main[0].weight  # type: ignore[index, union-attr]
    assert torch.equal(space.module.features[3].xception.branch_main[0].weight, expected)  # type: ignore[index, union-attr]
    load_weights(again, space.state_dict())
    assert equal(again.state_dict(), space.state_dict())
    architecture = space.space.sample(np.random.default_rng(0))
    with pytest.raises(CheckpointError, match="seem to be of the supernet of the space 'shufflenet_v2_8'"):
        load_weights(space.freeze(architecture), weights)
