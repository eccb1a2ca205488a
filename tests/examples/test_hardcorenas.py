"""examples/hardcorenas, its programs one after the other as a user gives them, and what they refuse."""

import io
import json
import re
import runpy
import subprocess
import sys
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from hwnas.cli import script
from hwnas.data import image_folder
from hwnas.device import read_networks, read_table
from hwnas.nn.families import architecture_string
from hwnas.train import evaluate_accuracy, latest_checkpoint, load_weights, read_weights

FOLDER = Path(__file__).parents[2] / "examples" / "hardcorenas"


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FOLDER / program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=900)


def call(program: str, *arguments: object) -> tuple[int, str, str]:
    """Calls a program in this process, which is quicker: its exit code, stdout and stderr."""
    out, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
        patch.syspath_prepend(FOLDER)
        patch.setattr(warnings, "showwarning", warnings.showwarning)
        for name in ("options", "setting"):  # other folders have such files as well
            patch.setitem(sys.modules, name, None)
            del sys.modules[name]
        main = runpy.run_path(str(FOLDER / program))["main"]
        with pytest.raises(SystemExit) as ended:
            script.run(main, [str(argument) for argument in arguments])
    return ended.value.code, out.getvalue(), errors.getvalue()


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "lut.sqlite"
    done = run("measure_latency_lut.py", "--smoke", "--target_device=onnx", f"--lut_filename={path}")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^10 blocks in ", done.stdout, re.MULTILINE)  # stem, head, 2 stages of 2 blocks with 2 options
    return path


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The folder of all results, with a supernet whose heaviest network was trained first."""
    out = tmp_path_factory.mktemp("out")
    for step in (["--heaviest_network", "-b=16", "--lr=0.05"], ["--heaviest_network", "--train_elastic_model"]):
        code, printed, errors = call("train.py", "--smoke", f"--out={out}", *step)
        assert code == 0, errors
        assert re.match(r"supernet: .*, 3 steps, loss \d\.\d+", printed)
    return out


@pytest.fixture(scope="module")
def searched(table, out):
    """A search within 1.5 times the least latency that the table's networks have: folder, limit, result."""
    limit_ms = 1.5 * min(measurement.median_ms for _, measurement in read_networks(table))
    done = run(
        "search.py", "--smoke", f"--out={out}", f"--initial-checkpoint={out}/elastic", f"--lut-filename={table}",
        f"--inference-time-limit-ms={limit_ms}",
    )  # fmt: skip
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
        "validate.py", out / "smoke-data", "--smoke", "-b=5", "--mobilenet_string", result["architecture_string"],
        "--checkpoint", weights,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    network = architecture_string.build(result["architecture_string"], num_classes=4)
    load_weights(network, read_weights(weights))
    data = image_folder(out / "smoke-data", seed=0, image_size=32)
    found = evaluate_accuracy(network, data.test)
    assert f"of {len(data.test)} images, loss {found.loss:.4f}" in done.stdout
    assert done.stdout.startswith(f"accuracy {100 * found.accuracy:.1f} ± ")
    assert found.accuracy == result["test_accuracy"]


def test_a_search_goes_on_where_it_was(table, searched):
    out, limit_ms, result = searched
    code, _, errors = call(
        "search.py", "--smoke", f"--out={out}", f"--initial-checkpoint={out}/elastic", f"--lut_filename={table}",
        f"--inference_time_limit_ms={limit_ms}",
    )  # fmt: skip
    assert code == 0, errors
    again = json.loads((out / "search" / "result.json").read_text())
    assert again["architecture"] == result["architecture"]
    assert again["budgets"] == result["budgets"]


def recipes(directory):
    """What each of a folder's trainings says of itself: its last checkpoint's run."""
    return {folder.name: latest_checkpoint(folder).run for folder in directory.iterdir() if latest_checkpoint(folder)}


def test_the_supernet_is_trained_as_the_paper_does(out):
    runs = recipes(out)
    assert (runs["heaviest"].recipe["scheme"], runs["elastic"].recipe["scheme"]) == ("largest", "sandwich")
    assert runs["heaviest"].recipe["schedule"] == "step"
    assert (runs["heaviest"].recipe["decay_epochs"], runs["heaviest"].recipe["decay_rate"]) == (2.4, 0.97)
    assert (runs["heaviest"].recipe["learning_rate"], runs["elastic"].recipe["learning_rate"]) == (0.05, 0.0128)
    assert "given weights" in runs["elastic"].roles  # those of the heaviest network
    assert runs["heaviest"].splits == runs["elastic"].splits


def test_the_found_network_is_trained_further(out, searched):
    _, _, result = searched
    code, printed, errors = call(
        "train.py", "--smoke", f"--out={out}", "--transform_model_to_mobilenet", "--use_KD",
        f"--initial-checkpoint={out}/search",
    )  # fmt: skip
    assert code == 0, errors
    run = recipes(out)["train"]
    recipe = run.recipe["recipe"]
    assert (recipe["learning_rate"], recipe["distillation"]) == (0.00128, 2.0)
    assert "teacher" in run.roles
    network = architecture_string.build(result["architecture_string"], num_classes=4)
    load_weights(network, read_weights(out / "train" / "network.safetensors"))
    found = evaluate_accuracy(network, image_folder(out / "smoke-data", seed=0, image_size=32).test)
    assert printed.startswith(f"accuracy {100 * found.accuracy:.1f} ± ")


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
        ("search", [LIMIT, "--bcfw_steps=0"], 2, "`num_steps` must be a whole number of at least 1; got 0"),
        ("search", [LIMIT, "--lut_filename=nowhere.sqlite"], 2, "nowhere.sqlite"),
        ("search", ["--inference_time_limit_ms=0.0001", "--lut_filename=TABLE"], 3, "least achievable is"),
        ("search", [LIMIT, "--lut_filename=TABLE", "--num-wheels=4"], 2, "unrecognized.*--num-wheels"),
        ("search", [LIMIT, "--lut_filename=TABLE", "--img-size=48"], 2, "has no block for 'conv_stem.*Measure"),
        ("search", [LIMIT, "--initial-checkpoint=nowhere"], 2, "nowhere"),
        ("train", [], 2, "Say which step to take: --heaviest_network"),
        ("train", ["--heaviest_network", "--transform_model_to_mobilenet"], 2, "Say which step to take"),
        ("train", ["--train_elastic_model", "--initial-checkpoint_IKD=nowhere"], 2, "nowhere is missing"),
        ("train", ["--train_elastic_model"], 2, "heaviest has no heaviest network yet. Take step 1"),
        ("train", ["--transform_model_to_mobilenet"], 2, "`--initial-checkpoint` is missing"),
        ("train", ["--transform_model_to_mobilenet", "--initial-checkpoint=WEIGHTS"], 2, "is no finished search; give"),
        ("validate", [STRING], 2, "`--checkpoint` is missing"),
        ("validate", ["--checkpoint=w.pth"], 2, "`--mobilenet_string` is missing"),
        ("validate", ["--mobilenet_string=[['ds_r1_k3_s1_c16_x9']]", "--checkpoint=w.pth"], 2, "unknown token 'x9'"),
        ("validate", [STRING, "--checkpoint=w.pth"], 2, "w.pth is missing"),
        ("validate", [STRING, "--checkpoint=WEIGHTS"], 2, "The weights.* of another network"),
    ],
)  # fmt: skip
def test_what_is_refused(searched, table, tmp_path, program, arguments, code, message):
    before = read_table(table)
    folder = searched[0]
    where = [] if program.startswith("measure") else [folder / "smoke-data", "--out", tmp_path]
    words = {"TABLE": table, "WEIGHTS": folder / "search" / "network.safetensors"}
    given = [re.sub("TABLE|WEIGHTS", lambda found: str(words[found[0]]), argument) for argument in arguments]
    ended, _, errors = call(f"{program}.py", *where, "--smoke", *given)
    assert ended == code
    assert re.search(message, errors), errors
    assert read_table(table) == before


def test_images_that_are_not_there(tmp_path):
    code, _, errors = call("search.py", tmp_path, LIMIT)
    assert (code, "has no images in train/CLASS/" in errors) == (2, True)
    code, _, errors = call("validate.py", "--out", tmp_path)
    assert (code, "data/imagenet has no images in train/CLASS/; give the folder" in errors) == (2, True)
