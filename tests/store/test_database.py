import multiprocessing
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from hwnas.errors import StoreError, StoreInUseError
from hwnas.store.database import Database, Schema

FIRST = "CREATE TABLE rows (value BLOB)"
SECOND = "ALTER TABLE rows ADD COLUMN note TEXT"
SCHEMA = Schema(application_id=0x68777878, name="a test's rows", migrations=[FIRST])
NEWER = Schema(application_id=0x68777878, name="a test's rows", migrations=[FIRST, SECOND])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "folder" / "rows.sqlite"


def fill(path, num_rows=50):
    with Database(path, SCHEMA) as database:
        for index in range(num_rows):
            database.execute("INSERT INTO rows VALUES (?)", (bytes([index]) * 500,))


def refused(path, match, *, schema=SCHEMA, write=True):
    """Opening raises, and the file is as it was, with nothing beside it but the lock."""
    before = path.read_bytes()
    with pytest.raises(StoreError, match=match):
        Database(path, schema, write=write)
    assert path.read_bytes() == before
    assert {file.name for file in path.parent.iterdir()} <= {path.name, path.name + ".lock"}


def test_rows_are_there_again(path):
    fill(path)
    with Database(path, SCHEMA) as database:
        assert database.execute("SELECT count(*) FROM rows") == [(50,)]
    with Database(path, SCHEMA, write=False) as database:
        assert database.execute("SELECT count(*) FROM rows") == [(50,)]


def test_a_missing_file_is_not_made_for_a_reader(path):
    with pytest.raises(StoreError, match=r"rows\.sqlite does not exist\. Give the path of a test's rows"):
        Database(path, SCHEMA, write=False)
    assert not path.exists()


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize("length", [0, 40, 100, 4096, 6000])
def test_a_truncated_file_is_refused(path, length, write):
    fill(path)
    os.truncate(path, length)
    refused(path, "truncated", write=write)


@pytest.mark.parametrize("write", [True, False])
def test_a_foreign_file_is_refused(path, write):
    path.parent.mkdir()
    path.write_bytes(b"a,b,c\n" * 100)
    refused(path, "not a SQLite file", write=write)


def test_a_foreign_database_is_refused(path):
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    refused(path, "but not a test's rows of hwnas")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(StoreError, match="cannot be read: Is a directory"):
        Database(tmp_path, SCHEMA)


def test_a_damaged_page_is_refused(path):
    fill(path)
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged"):
        Database(path, SCHEMA)
    assert path.read_bytes() == bytes(content)


def test_names_of_tables_that_are_no_text_are_damage(path):
    """SQLite's message has them in it, and then Python cannot read the message."""
    fill(path)
    content = path.read_bytes()
    assert content.count(b"TABLE rows (") == 1
    path.write_bytes(content.replace(b"TABLE rows (", b"TABLE rows \xff"))
    refused(path, "is damaged or cannot be used .*codec can't decode byte 0xff")


def test_a_newer_schema_is_refused(path):
    Database(path, NEWER).close()
    refused(path, r"written by a newer hwnas \(schema 2; this one reads up to 1\)")


def test_a_newer_schema_that_stands_in_the_log_only_is_refused(path):
    fill(path)
    newer = Database(path, NEWER)
    with pytest.raises(StoreError, match="written by a newer hwnas"):
        Database(path, SCHEMA, write=False)
    newer.close()


def test_an_older_schema_is_raised(path):
    fill(path)
    with Database(path, NEWER) as database:
        assert database.execute("SELECT count(*), max(note) FROM rows") == [(50, None)]


def test_a_second_writer_is_refused_and_names_the_first(path):
    with Database(path, SCHEMA), pytest.raises(StoreInUseError, match=rf"another process \(pid {os.getpid()}\)"):
        Database(path, SCHEMA)
    Database(path, SCHEMA).close()


def test_a_killed_writer_leaves_no_lock(path):
    program = (
        "import os, signal; from pathlib import Path; from hwnas.store.database import Database, Schema\n"
        f"schema = Schema(application_id={SCHEMA.application_id}, name='rows', migrations=[{FIRST!r}])\n"
        f"database = Database({str(path)!r}, schema)\n"
        "database.execute(\"INSERT INTO rows VALUES ('kept')\")\n"
        "database.execute('BEGIN'); database.execute(\"INSERT INTO rows VALUES ('lost')\")\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    with Database(path, SCHEMA) as database:
        assert database.execute("SELECT value FROM rows") == [("kept",)]


def test_a_forked_child_that_lives_on_keeps_no_writer_out(path):
    """As the processes of a data loader, or of a pool that an evaluation keeps."""
    with Database(path, SCHEMA):
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,))
        child.start()
        with pytest.raises(StoreInUseError, match="another process"):
            Database(path, SCHEMA)
    Database(path, SCHEMA).close()
    child.kill()
    child.join()


def test_the_log_of_a_file_that_was_deleted_is_not_played_into_a_new_one(path):
    with Database(path, SCHEMA) as database:
        database.execute("INSERT INTO rows VALUES ('old')")
        log = path.with_name(path.name + "-wal")
        kept = log.read_bytes()  # as a killed process leaves it
    path.unlink()
    log.write_bytes(kept)
    with Database(path, SCHEMA) as database:
        assert database.execute("SELECT value FROM rows") == []


@pytest.mark.parametrize("write", [True, False])
def test_killed_while_the_log_was_copied_into_the_file(path, write):
    """SQLite copies the first page first, which counts all pages; those at the end are then in the log only."""
    killed = path.with_name("killed.sqlite")
    with Database(path, SCHEMA) as database:
        for index in range(50):
            database.execute("INSERT INTO rows VALUES (?)", (bytes([index]) * 500,))
        shutil.copy(path, killed)
        shutil.copy(f"{path}-wal", f"{killed}-wal")
    with path.open("rb") as file:
        first = file.read(4096)
    with killed.open("r+b") as file:
        file.write(first)
    assert int.from_bytes(first[28:32], "big") * 4096 > killed.stat().st_size
    with Database(killed, SCHEMA, write=write) as database:
        assert database.execute("SELECT count(*) FROM rows") == [(50,)]


@pytest.fixture
def folder_of_another_user():
    """Which may be read only; not in pytest's own, where no other user gets to."""
    folder = Path(tempfile.mkdtemp())
    fill(folder / "rows.sqlite")
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def of_another_user(function) -> str:
    """What a function gives or raises, as a text, in a process of a user who may not write here."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:  # who may write everywhere
                os.setuid(65534)
            text = str(function())
        except BaseException as error:
            text = str(error)
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return text


def test_a_folder_that_may_only_be_read(folder_of_another_user):
    before = set(folder_of_another_user.iterdir())

    def count():
        with Database(folder_of_another_user / "rows.sqlite", SCHEMA, write=False) as database:
            return database.execute("SELECT count(*) FROM rows")

    assert of_another_user(count) == "[(50,)]"
    assert set(folder_of_another_user.iterdir()) == before


def test_a_log_that_cannot_be_read_there_is_no_damage(folder_of_another_user, path):
    """SQLite would have to make a file beside it."""
    fill(path)
    folder_of_another_user.chmod(0o755)
    with Database(path, SCHEMA) as database:
        database.execute("INSERT INTO rows VALUES (1)")
        for name in ("rows.sqlite", "rows.sqlite-wal"):
            (folder_of_another_user / name).unlink(missing_ok=True)
            shutil.copy(path.with_name(name), folder_of_another_user)
    folder_of_another_user.chmod(0o555)
    message = of_another_user(lambda: Database(folder_of_another_user / "rows.sqlite", SCHEMA, write=False))
    assert "could not be opened (unable to open database file)" in message
    assert "If this folder may not be written, copy it to where you may." in message


def test_readers_see_what_is_committed_and_disturb_nobody(path):
    with Database(path, SCHEMA) as writer, Database(path, SCHEMA, write=False) as reader:
        with writer.transaction():
            writer.execute("INSERT INTO rows VALUES (1)")
            assert reader.execute("SELECT count(*) FROM rows") == [(0,)]
        assert reader.execute("SELECT count(*) FROM rows") == [(1,)]
        with pytest.raises(StoreError, match="readonly"):
            reader.execute("INSERT INTO rows VALUES (2)")


def test_a_failed_transaction_leaves_nothing(path):
    with Database(path, SCHEMA) as database:

        def both():
            with database.transaction():
                database.execute("INSERT INTO rows VALUES (1)")
                database.execute("INSERT INTO nowhere VALUES (1)")

        with pytest.raises(StoreError, match="no such table"):
            both()
        assert database.execute("SELECT count(*) FROM rows") == [(0,)]


def test_a_full_disk_is_explained_and_keeps_what_was_finished(path):
    fill(path)
    with Database(path, SCHEMA) as database:
        (pages,) = database.execute("PRAGMA page_count")[0]
        database.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own way to be out of space
        with pytest.raises(StoreError, match=r"disk is full: .* Free some space"):
            database.execute("INSERT INTO rows VALUES (?)", (bytes(100_000),))
    with Database(path, SCHEMA, write=False) as database:
        assert database.execute("SELECT count(*) FROM rows") == [(50,)]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot be written: (File exists|Not a directory)\. Give another path"):
        Database(tmp_path / "file" / "rows.sqlite", SCHEMA)


def test_a_half_made_file_of_a_killed_process_is_made_anew(path):
    path.parent.mkdir()
    path.with_name(path.name + ".new").write_bytes(b"half")
    fill(path, 1)
    assert not path.with_name(path.name + ".new").exists()
