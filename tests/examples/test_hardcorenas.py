"""examples/hardcorenas, its programs one after the other as a user gives them, and what they refuse."""

import json
import re
import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from hwnas.cli import script
from hwnas.data import image_folder
from hwnas.device import read_networks, read_table
from hwnas.nn.families import architecture_string
from hwnas.train import evaluate_accuracy, load_weights, read_weights

FOLDER = Path(__file__).parents[2] / "examples" / "hardcorenas"


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture
def call(monkeypatch, capsys):
    """Calls a program in this process, which is quicker: its exit code, stdout and stderr."""

    def call(program: str, *arguments: object) -> tuple[int, str, str]:
        monkeypatch.syspath_prepend(FOLDER)
        monkeypatch.delitem(sys.modules, "setting", raising=False)  # other folders have one as well
        main = runpy.run_path(str(FOLDER / program))["main"]
        monkeypatch.delitem(sys.modules, "setting", raising=False)
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        with pytest.raises(SystemExit) as ended:
            script.run(main, [str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return ended.value.code, printed.out, printed.err

    return call


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "lut.sqlite"
    done = run("measure_latency_lut.py", "--smoke", "--target_device=onnx", f"--lut_filename={path}")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^10 blocks in ", done.stdout, re.MULTILINE)  # stem, head, 2 stages of 2 blocks with 2 options
    return path


@pytest.fixture(scope="module")
def searched(table, tmp_path_factory):
    """The folder of a search within 1.5 times the least latency that the table's networks have."""
    out = tmp_path_factory.mktemp("out")
    limit_ms = 1.5 * min(measurement.median_ms for _, measurement in read_networks(table))
    done = run(
        "search.py", "--smoke", f"--out={out}", f"--lut-filename={table}", f"--inference-time-limit-ms={limit_ms}"
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((out / "search" / "result.json").read_text())
    assert f"architecture: {result['architecture_string']}" in done.stdout
    return out, limit_ms, result


def test_the_found_network_is_within_the_limit_as_measured(searched):
    _, limit_ms, result = searched
    [budget] = result["budgets"]
    assert (budget["profiler"], budget["unit"], budget["kept"]) == ("latency", "ms", True)
    assert budget["limit"] == pytest.approx(limit_ms)
    assert budget["predicted"] <= limit_ms
    assert budget["measured"] <= limit_ms


def test_the_table_is_the_one_of_the_search(table, searched):
    _, _, result = searched
    assert result["fingerprint"]["runtime"] == "onnxruntime"
    assert len(read_networks(table)) == 3  # as the first program has measured them, and no more


def test_validating_gives_the_accuracy_that_the_library_gives(searched):
    out, _, result = searched
    weights = out / "search" / "network.safetensors"
    done = run(
        "validate.py", out / "data", "--smoke", "-b=5", "--mobilenet_string", result["architecture_string"],
        "--checkpoint", weights,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    network = architecture_string.build(result["architecture_string"], num_classes=4)
    load_weights(network, read_weights(weights))
    data = image_folder(out / "data", seed=0, image_size=32)
    found = evaluate_accuracy(network, data.test)
    assert f"of {len(data.test)} images, loss {found.loss:.4f}" in done.stdout
    assert done.stdout.startswith(f"accuracy {100 * found.accuracy:.1f} ± ")
    assert found.accuracy == result["test_accuracy"]


def test_a_search_goes_on_where_it_was(table, searched, call):
    out, limit_ms, result = searched
    code, _, errors = call(
        "search.py", "--smoke", f"--out={out}", f"--lut_filename={table}", f"--inference_time_limit_ms={limit_ms}"
    )
    assert code == 0, errors
    again = json.loads((out / "search" / "result.json").read_text())
    assert again["architecture"] == result["architecture"]
    assert again["budgets"] == result["budgets"]


LIMIT = "--inference_time_limit_ms=1"
STRING = "--mobilenet_string=[['cn_r1_k1_s1_c64']]"


@pytest.mark.parametrize(
    ("program", "arguments", "code", "message"),
    [
        ("measure_latency_lut", ["--target_device=gpu"], 2, "'gpu' is PyTorch's own, torch:cuda.*onnxruntime:cpu"),
        ("measure_latency_lut", ["--target_device=cpu"], 2, "'cpu' is PyTorch's own, torch:cpu here"),
        ("measure_latency_lut", ["--target_device=vpu"], 2, "Unknown device 'vpu'"),
        ("measure_latency_lut", ["--repeat_measure=0"], 2, "`repeats` must be at least 1; got 0"),
        ("search", ["--inference_time_limit=38"], 2, "`--inference_time_limit` has no unit.*limit_ms`"),
        ("search", [], 2, "`--inference_time_limit_ms` is missing"),
        ("search", [LIMIT, "--train_percent=100"], 2, "`--train_percent` must be above 0 and below 100; got 100"),
        ("search", [LIMIT, "--bcfw_steps=0"], 2, "`num_steps` must be at least 1; got 0"),
        ("search", [LIMIT, "--lut_filename=nowhere.sqlite"], 2, "nowhere.sqlite"),
        ("search", ["--inference_time_limit_ms=0.0001", "--lut_filename=TABLE"], 3, "least achievable is"),
        ("search", [LIMIT, "--lut_filename=TABLE", "--num-wheels=4"], 2, "unrecognized.*--num-wheels"),
        ("search", [LIMIT, "--lut_filename=TABLE", "--img-size=48"], 2, "has no block for 'conv_stem.*Measure"),
        ("validate", [STRING], 2, "`--checkpoint` is missing"),
        ("validate", ["--checkpoint=w.pth"], 2, "`--mobilenet_string` is missing"),
        ("validate", ["--mobilenet_string=[['ds_r1_k3_s1_c16_x9']]", "--checkpoint=w.pth"], 2, "unknown token 'x9'"),
        ("validate", [STRING, "--checkpoint=w.pth"], 2, "w.pth is missing"),
        ("validate", [STRING, "--checkpoint=WEIGHTS"], 2, "The weights.* of another network"),
    ],
)  # fmt: skip
def test_what_is_refused(searched, table, call, tmp_path, program, arguments, code, message):
    before = read_table(table)
    folder = searched[0]
    where = [] if program.startswith("measure") else [folder / "data", "--out", tmp_path]
    words = {"TABLE": table, "WEIGHTS": folder / "search" / "network.safetensors"}
    given = [re.sub("TABLE|WEIGHTS", lambda found: str(words[found[0]]), argument) for argument in arguments]
    ended, _, errors = call(f"{program}.py", *where, "--smoke", *given)
    assert ended == code
    assert re.search(message, errors), errors
    assert read_table(table) == before


def test_images_that_are_not_there(call, tmp_path):
    code, _, errors = call("search.py", tmp_path, LIMIT)
    assert (code, "has no images in train/CLASS/" in errors) == (2, True)
    code, _, errors = call("validate.py")
    assert (code, "DATA is missing" in errors) == (2, True)
