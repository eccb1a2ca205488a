import json
import pathlib

import numpy as np
import pytest

from hwnas.cli.architecture_argument import read_architecture
from hwnas.errors import ArchitectureError
from hwnas.nn.families import family, to_string

SPACE = family("mobilenet_v3_8")
ARCHITECTURE = SPACE.space.sample(np.random.default_rng(0))


def test_a_string_and_both_kinds_of_files(tmp_path: pathlib.Path) -> None:
    assert read_architecture(SPACE, to_string(SPACE, ARCHITECTURE)) == ARCHITECTURE
    (tmp_path / "architecture.json").write_text(json.dumps(ARCHITECTURE.to_json()))
    assert read_architecture(SPACE, str(tmp_path / "architecture.json")) == ARCHITECTURE
    (tmp_path / "result.json").write_text(json.dumps({"architecture": ARCHITECTURE.to_json(), "seed": 1}))
    assert read_architecture(SPACE, str(tmp_path / "result.json")) == ARCHITECTURE


def test_a_string_of_another_family() -> None:
    space = family("nasbench201_8")
    string = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|"
    assert to_string(space, read_architecture(space, string)) == string


def test_what_is_no_architecture(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ArchitectureError, match=r"none\.json' cannot be read: No such file or directory\. Give a JSON"):
        read_architecture(SPACE, str(tmp_path / "none.json"))
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ArchitectureError, match=r"broken\.json is not valid JSON"):
        read_architecture(SPACE, str(tmp_path / "broken.json"))
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(ArchitectureError, match=r"deep\.json is not valid JSON"):
        read_architecture(SPACE, str(tmp_path / "deep.json"))
    (tmp_path / "list.json").write_text("[3]")
    with pytest.raises(ArchitectureError, match="must be a mapping"):
        read_architecture(SPACE, str(tmp_path / "list.json"))
    (tmp_path / "other.json").write_text('{"nothing": 3}')
    with pytest.raises(ArchitectureError, match="nothing"):
        read_architecture(SPACE, str(tmp_path / "other.json"))
