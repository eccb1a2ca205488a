import dataclasses
import os
import shutil
import signal
import sqlite3
import subprocess
import sys

import pytest

from hwnas.errors import StoreError
from hwnas.store import Database, MeasurementStore, Schema, Trial, TrialStore
from hwnas.store.trial_schema import TRIAL_SCHEMA
from hwnas.testing.store_contract import StoreContract


class TestTrialStore(StoreContract):
    @pytest.fixture
    def open_store(self):
        return TrialStore


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.sqlite"


def trial(number, **fields):
    return Trial(study="s", number=number, architecture={"a": number}, **fields)


def fill(path, num=200):
    with TrialStore(path) as store:
        for number in range(num):
            store.ask(trial(number))
            store.end(trial(number, status="complete", score=1.0, metrics={"score": 1.0}))


def older(version):
    """The schema as it was in that version."""
    return Schema(
        application_id=TRIAL_SCHEMA.application_id,
        name=TRIAL_SCHEMA.name,
        migrations=TRIAL_SCHEMA.migrations[:version],
    )


def write_older(path, version, num=3):
    """A file as that version wrote it: numbers that JSON of 15 digits would round."""
    column = "correct" if version == 1 else "scores"
    with Database(path, older(version)) as database:
        for study in ("b", "a"):
            for number in range(num):
                database.execute(
                    f"INSERT INTO trials (study, number, architecture, fidelity, batch_index, score, loss, {column}, "
                    "num_images) VALUES (?, ?, ?, 'full', ?, ?, ?, ?, 3)",
                    (study, number, f'{{"a": {number}}}', number, 0.1 + 0.2 + number, 1 / 3, b"\xe0"),
                )
        database.set_fact("configuration", {"seed": 1})


@pytest.mark.parametrize("version", [1, 2])
def test_a_file_of_an_older_version_is_brought_up_to_date(path, version):
    write_older(path, version)
    with pytest.raises(StoreError, match=rf"older hwnas \(schema {version}; this one reads 3\)\. Give the command"):
        TrialStore(path, write=False).trials("a")
    with TrialStore(path, write=False) as reader:
        assert reader.fact("configuration") == {"seed": 1}
    with TrialStore(path) as store:
        assert store.studies() in (["a", "b"], ["b", "a"])
        for study in ("a", "b"):
            assert store.trials(study) == [
                Trial(
                    study=study,
                    number=number,
                    architecture={"a": number},
                    batch_index=number,
                    status="complete",
                    metrics={"score": 0.1 + 0.2 + number, "loss": 1 / 3},
                    score=0.1 + 0.2 + number,
                    loss=1 / 3,
                    scores=b"\xe0",
                    num_images=3,
                )
                for number in range(3)
            ]
            kinds = [(event.number, event.kind) for event in store.events(study)]
            assert kinds == [(number, kind) for number in range(3) for kind in ("asked", "ended")]
        assert store.fact("configuration") == {"seed": 1}
        store.ask(Trial(study="a", number=3, architecture={}))
    with TrialStore(path, write=False) as reader:
        assert len(reader.trials("a")) == 4


def test_a_killed_migration_begins_anew(path):
    write_older(path, 2, num=2)
    program = (
        "import os, signal, sqlite3\n"
        f"connection = sqlite3.connect({str(path)!r}, isolation_level=None)\n"
        "from hwnas.store.trial_schema import TRIAL_SCHEMA\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "for statement in TRIAL_SCHEMA.migrations[2].split(';')[:4]:\n"
        "    connection.execute(statement)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    with TrialStore(path) as store:
        assert len(store.trials("a")) == 2
        assert len(list(store.events("a"))) == 4


def refused(path, match):
    before = path.read_bytes()
    for write in (True, False):
        with pytest.raises(StoreError, match=match):
            TrialStore(path, write=write)
    assert path.read_bytes() == before


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused_and_left(path, share):
    fill(path)
    os.truncate(path, int(share * path.stat().st_size))
    refused(path, "truncated")


def test_a_damaged_page_is_refused_and_left(path):
    fill(path)
    content = bytearray(path.read_bytes())
    content[8192:12288] = bytes(range(256)) * 16
    path.write_bytes(content)
    refused(path, "is damaged")


def test_a_newer_schema_is_refused_and_left(path):
    newer = Schema(
        application_id=TRIAL_SCHEMA.application_id,
        name="newer",
        migrations=[*TRIAL_SCHEMA.migrations, "CREATE TABLE more (x)"],
    )
    Database(path, newer).close()
    refused(path, r"newer hwnas \(schema 4; this one reads up to 3\)")


def test_another_kind_of_ours_is_refused_and_left(path):
    MeasurementStore(path).close()
    refused(path, "is a SQLite file, but not a run's trials of hwnas")


def test_a_file_copied_while_it_was_written_is_whole_or_refused(path, tmp_path):
    """Without its log a copy has what was moved from the log into the file: a beginning of the history, or nothing."""
    copy = tmp_path / "copy" / "run.sqlite"
    copy.parent.mkdir()
    outcomes = set()
    with TrialStore(path) as store:
        for number in range(400):
            store.ask(trial(number, costs={"text": 0.0, "padding" * 40: 1.0}))
            if number % 20 == 0:
                for extra in copy.parent.iterdir():
                    extra.unlink()
                shutil.copy(path, copy)
                if number % 40 == 0:
                    os.truncate(copy, copy.stat().st_size // 4096 // 2 * 4096)
                try:
                    with TrialStore(copy) as found:
                        numbers = [one.number for one in found.trials("s")]
                    assert numbers == list(range(len(numbers)))
                    outcomes.add("whole")
                except StoreError:
                    outcomes.add("refused")
    assert outcomes == {"whole", "refused"}


def test_a_log_cut_short_loses_its_last_events_only(path):
    """As a power cut may leave it."""
    store = TrialStore(path)
    for number in range(50):
        store.ask(trial(number))
    log = path.with_name("run.sqlite-wal")
    content = log.read_bytes()
    kept = path.read_bytes()
    store.close()
    path.write_bytes(kept)
    log.write_bytes(content[: len(content) // 2])
    with TrialStore(path) as again:
        numbers = [one.number for one in again.trials("s")]
        assert 0 < len(numbers) < 50
        assert numbers == list(range(len(numbers)))
        assert [event.number for event in again.events("s")] == numbers


def test_a_full_disk_leaves_whole_events(path):
    """The limit on a file's size is the operating system's; a child has it, so that the tests go on."""
    program = (
        "import resource, signal, sys\n"
        "from hwnas.errors import StoreError\n"
        "from hwnas.store import Trial, TrialStore\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"with TrialStore({str(path)!r}) as store:\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "    for number in range(10_000):\n"
        "        try:\n"
        "            store.ask(Trial(study='s', number=number, architecture={'a': number}))\n"
        "            print(number)\n"
        "        except StoreError as error:\n"
        "            sys.exit(str(error))\n"
    )
    found = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert found.returncode == 1
    assert "could not be read or written (disk I/O error): the disk may be full, over a limit" in found.stderr
    written = [int(line) for line in found.stdout.split()]
    assert len(written) > 10
    with TrialStore(path) as store:
        assert [one.number for one in store.trials("s")] == written
        assert [event.number for event in store.events("s")] == written


def test_no_statement_of_a_trial_reads_through_a_table(path):
    """So a thousandth trial costs what the first does: SQLite says how it finds the rows."""
    fill(path, 5)
    seen = []
    with TrialStore(path) as store:
        store._connection.set_trace_callback(seen.append)
        store.ask(trial(5))
        store.start("s", 5, 2)
        store.report("s", 5, step=1, value=1.0, stop=False)
        store.interrupt("s", 5)
        store.end(trial(5, status="complete"))
        store._connection.set_trace_callback(None)
        plans = [
            (statement, row[3])
            for statement in seen
            if not statement.startswith(("BEGIN", "COMMIT"))
            for row in store.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
    assert any("SEARCH" in how for _, how in plans)
    assert not [one for one in plans if "SCAN" in one[1]]


def test_measurements_outlive_a_power_cut_and_trials_the_process(tmp_path):
    with TrialStore(tmp_path / "run.sqlite") as store, MeasurementStore(tmp_path / "table.sqlite") as table:
        assert store.execute("PRAGMA synchronous") == [(1,)]  # NORMAL
        assert table.execute("PRAGMA synchronous") == [(2,)]  # FULL
        assert store.execute("PRAGMA journal_mode") == [("wal",)]


def test_seconds_are_those_that_processes_worked(path):
    with TrialStore(path) as store:
        for begin, end in ((10.0, 14.0), (100.0, 101.5)):
            store.begin("s", {})
            store.ask(trial(int(begin)))
            store.execute(
                "UPDATE events SET time = ? WHERE sequence = (SELECT max(sequence) FROM events) - 1", (begin,)
            )
            store.execute("UPDATE events SET time = ? WHERE sequence = (SELECT max(sequence) FROM events)", (end,))
        store.begin("another", {})
        store.ask(dataclasses.replace(trial(0), study="another"))
        assert store.seconds("s") == 5.5
        assert store.seconds("s", since=3) == 1.5


def test_a_clock_that_was_set_back_takes_no_seconds_away(path):
    with TrialStore(path) as store:
        store.begin("s", {})
        for number, when in enumerate((1000.0, 1010.0, 500.0, 502.0)):
            if number:
                store.ask(trial(number))
            store.execute("UPDATE events SET time = ? WHERE sequence = (SELECT max(sequence) FROM events)", (when,))
        assert store.seconds("s") == 12.0


def test_rows_are_as_sqlite_tools_show_them(path):
    """Anybody's tools read the file: the status, metrics and errors are columns in plain text."""
    fill(path, 1)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT number, status, metrics, architecture FROM trials").fetchall() == [
            (0, "complete", '{"score": 1.0}', '{"a": 0}')
        ]
    connection.close()
