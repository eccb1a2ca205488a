"""Folders damaged where SQLite does not notice: refused and left as they are, by whoever reads or goes on."""

import random
import shutil

import pytest

from hwnas.errors import RunDirectoryError, StoreError
from hwnas.experiment import Experiment, Metric
from hwnas.experiment.recorded import read_run
from hwnas.store import TrialStore
from tests.experiment.many_trials import SPACE, evolution, score


def evaluate(architecture, report):
    report(1, architecture["c0"])
    return {"score": score(architecture), "first": architecture["c0"]}


def experiment(folder):
    metrics = [Metric("score"), Metric("first", "minimise", limit=3.0)]
    return Experiment(SPACE, evaluate, evolution, metrics=metrics, directory=folder)


def read(folder):
    return [read_run(folder).studies[0].trials, experiment(folder).top(99), experiment(folder).front()]


def go_on(folder):
    experiment(folder).run(14)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    experiment(folder).run(12)
    return folder


def damaged(whole, folder, sql):
    shutil.copytree(whole, folder)
    with TrialStore(folder / "run.sqlite") as store:
        store.execute(sql)
    return folder


def refused(use, folder, match):
    before = (folder / "run.sqlite").read_bytes()
    with pytest.raises(StoreError, match=match):
        use(folder)
    assert (folder / "run.sqlite").read_bytes() == before


TRIAL = "UPDATE trials SET {} WHERE number = 4"
REPORT = "UPDATE events SET content = '{}' WHERE kind = 'reported' AND number = 4"
METRICS = "UPDATE facts SET value = json_set(value, '$.metrics', json('{}')) WHERE name = 'configuration'"


@pytest.mark.parametrize(
    ("sql", "match"),
    [
        ("DELETE FROM trials WHERE number = 11", r"\(11, 'asked', '{}', .+\) in the place of event \d+ of 'trials'"),
        ("DELETE FROM trials WHERE number = 3", r"\(4, .+\) in the place of the number, the status and the events of"),
        ("DELETE FROM events WHERE kind = 'ended' AND number = 2", r"\(2, 'complete', 1, 0\) in the place of the numb"),
        ("DELETE FROM events WHERE kind = 'asked' AND number = 11", r"\(11, 'complete', 0, 1\) in the place of the n"),
        ("UPDATE events SET kind = 'askee' WHERE kind = 'asked' AND number = 1", r"\(1, 'complete', 0, 1\) in"),
        ("UPDATE events SET kind = 'reportee' WHERE kind = 'reported' AND number = 1", r"\(1, 'reportee', '{\"step\""),
        ("UPDATE events SET number = 99 WHERE kind = 'reported' AND number = 1", r"\(99, 'reported', "),
        ("UPDATE events SET number = 'x' WHERE kind = 'reported' AND number = 1", r"\('x', 'reported', "),
        ("UPDATE events SET number = 2 WHERE kind = 'began'", r"\(2, 'began', "),
        ("UPDATE events SET time = 'x' WHERE kind = 'began'", r"\(-1, 'began', "),
        ("UPDATE events SET time = 9e999 WHERE number = 3", r"\(3, 'asked', '{}', inf\)"),
        ("UPDATE events SET content = '3' WHERE kind = 'began'", r"\(-1, 'began', '3', "),
        (REPORT.format("3"), r"\(4, 'reported', '3', "),
        (REPORT.format("{}"), r"\(4, 'reported', '{}', "),
        (REPORT.format('{"step": 1, "value": 1.0, "stop": 0}'), r"in the place of event \d+ of 'trials'"),
        (TRIAL.format("status = 'done'"), r"\(4, 'done', 1, 1\) in the place of the number, the status and the events"),
        (TRIAL.format("status = 3"), r"\(4, '3', 1, 1\) in the place of the number, the status and the events of tri"),
        (TRIAL.format("status = 'running'"), r"\(4, 'running', 1, 1\) in the place of the number, the status and the"),
        (TRIAL.format("metrics = '3'"), "3 in the place of the metrics of trial 4 of 'trials'. It was left as"),
        (TRIAL.format("metrics = '[1]'"), r"\[1\] in the place of the metrics of trial 4 of 'trials'"),
        (TRIAL.format("""metrics = '{"score": "x"}'"""), r"{'score': 'x'}\) in the place of the numbers of trial 4 of"),
        (
            TRIAL.format("""metrics = '{"score": NaN, "first": 1}'"""),
            r"{'score': nan, 'first': 1} in the place of the m",
        ),
        (
            TRIAL.format("""metrics = '{"scoro": 1.0, "first": 1}'"""),
            r"{'scoro': 1.0, .+ in the place of the metrics of",
        ),
        (TRIAL.format("metrics = NULL"), r"in the place of the metrics of trial 4 of 'trials'"),
        (TRIAL.format("costs = '3'"), "3 in the place of the costs of trial 4 of 'trials'"),
        (TRIAL.format("architecture = '[]'"), r"\[\] in the place of the architecture of trial 4 of 'trials'"),
        (TRIAL.format("attempts = 'many'"), "'many' in the place of the attempts of trial 4 of 'trials'"),
        (TRIAL.format("seconds = 'x'"), "'x' in the place of the seconds of trial 4 of 'trials'"),
        (TRIAL.format("scores = 'text'"), "'text' in the place of the scores of trial 4 of 'trials'"),
        (
            TRIAL.format("scores = x'00', num_images = 99"),
            r"b'\\x00' in the place of the scores of 99 images in trial 4",
        ),
    ],
)
def test_rows_that_no_process_has_written(whole, tmp_path, sql, match):
    folder = damaged(whole, tmp_path / "run", sql)
    for use in (read, go_on):
        refused(use, folder, f"run.sqlite is damaged: it has .*{match}")


@pytest.mark.parametrize(
    ("sql", "match"),
    [
        (
            "UPDATE facts SET value = '3' WHERE name = 'configuration'",
            "3 in the place of the fact 'configuration'",
        ),
        (
            "UPDATE facts SET value = '[]' WHERE name = 'configuration'",
            r"\[\] in the place of the fact 'configuration'",
        ),
        ("UPDATE facts SET value = '{}' WHERE name = 'configuration'", "{} in the place of the configuration"),
        (METRICS.format('["score"]'), "in the place of the configuration"),
        (METRICS.format('[{"nom": 1}]'), "in the place of the configuration"),
        (METRICS.format('[{"name": "score", "direction": "up"}]'), "in the place of the configuration"),
        (METRICS.format('[{"name": "scoro"}]'), "in the place of the metrics of trial 0 of 'trials'"),
        ("INSERT INTO facts VALUES ('networks', '5')", "5 in the place of the fact 'networks'"),
        ("INSERT INTO facts VALUES ('phase', '5')", "5 in the place of the fact 'phase'"),
        ("INSERT INTO facts VALUES ('seconds', '[5]')", r"\[5\] in the place of the fact 'seconds'"),
        (
            "UPDATE events SET content = '{\"foo\": 1}' WHERE kind = 'began'",
            "{'foo': 1} in the place of what a process",
        ),
        (
            "UPDATE events SET content = '{\"max_trials\": \"x\"}' WHERE kind = 'began'",
            "{'max_trials': 'x'} in the place",
        ),
        (TRIAL.format("fidelity = 'fool'"), "'fool' in the place of the fidelity of trial 4 of 'trials'"),
        ("UPDATE events SET study = x'ff' WHERE kind = 'began'", r"b'\\xff' in the place of the name of a study"),
    ],
)
def test_facts_that_no_process_has_written(whole, tmp_path, sql, match):
    """Who goes on compares the configuration, and the trials with what the strategy proposes."""
    refused(read, damaged(whole, tmp_path / "run", sql), f"run.sqlite is damaged: it has .*{match}")


@pytest.mark.parametrize(
    ("sql", "match"),
    [
        (
            "UPDATE events SET sequence = 999 WHERE kind = 'asked' AND number = 11",
            r"'reported 11' in the place of event",
        ),
        (
            "UPDATE events SET sequence = 999 WHERE kind = 'reported' AND number = 3",
            r"'reported 3' in the place of event",
        ),
    ],
)
def test_events_that_cannot_follow_each_other(whole, tmp_path, sql, match):
    refused(go_on, damaged(whole, tmp_path / "run", sql), f"run.sqlite is damaged: it has {match}")


def test_single_bits(whole, tmp_path):
    """What is noticed is refused as it is; what is not, a digit of a number for example, is read as it stands."""
    content = (whole / "run.sqlite").read_bytes()
    places = [place for place, byte in enumerate(content) if byte]
    expected, file, rng = read(whole), tmp_path / "run.sqlite", random.Random(7)
    outcomes = []
    for _ in range(60):
        flipped = bytearray(content)
        flipped[rng.choice(places)] ^= 1 << rng.randrange(8)
        for use in (read, go_on):
            for old in tmp_path.iterdir():
                old.unlink()
            file.write_bytes(flipped)
            try:
                outcomes.append("same" if use(tmp_path) in (expected, None) else "other")
            except (StoreError, RunDirectoryError) as error:  # the latter: another configuration, or history
                outcomes.append(type(error).__name__)
                assert file.read_bytes() == flipped
    assert outcomes.count("StoreError") > 30
    assert outcomes.count("other") < 10
