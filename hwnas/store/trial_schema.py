"""The tables of a run, from the first version of them to the present."""

from __future__ import annotations

from hwnas.store.database import Schema

__all__ = ["TRIAL_SCHEMA"]

TRIAL_SCHEMA = Schema(
    application_id=0x68777472,  # "hwtr"
    name="a run's trials",
    migrations=[
        """
        CREATE TABLE trials (
            study TEXT NOT NULL,
            number INTEGER NOT NULL,
            architecture TEXT NOT NULL,
            fidelity TEXT NOT NULL,
            batch_index INTEGER NOT NULL,
            score REAL NOT NULL,
            loss REAL NOT NULL,
            correct BLOB,
            num_images INTEGER NOT NULL,
            finished TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
            PRIMARY KEY (study, number)
        );
        CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL)
        """,
        "ALTER TABLE trials RENAME COLUMN correct TO scores",  # a task's scores need not be right or wrong
        # Trials are there from the moment they are asked for, and the order of events beside them. The trials of
        # before were asked for and told one after the other. SQLite's JSON functions round numbers, so that their
        # metrics stay what the columns say.
        """
        CREATE TABLE events (
            sequence INTEGER PRIMARY KEY,
            study TEXT NOT NULL,
            number INTEGER NOT NULL,
            kind TEXT NOT NULL,
            content TEXT NOT NULL,
            time REAL NOT NULL
        );
        INSERT INTO events (study, number, kind, content, time)
            SELECT study, number, kind, content, CAST(strftime('%s', finished) AS REAL)
            FROM trials, (
                SELECT 0 AS place, 'asked' AS kind, '{}' AS content
                UNION SELECT 1, 'ended', '{"status": "complete"}'
            )
            ORDER BY study, number, place;
        ALTER TABLE trials RENAME TO trials_before;
        CREATE TABLE trials (
            study TEXT NOT NULL,
            number INTEGER NOT NULL,
            architecture TEXT NOT NULL,
            fidelity TEXT NOT NULL,
            batch_index INTEGER NOT NULL,
            repeat INTEGER NOT NULL,
            status TEXT NOT NULL,
            attempts INTEGER NOT NULL,
            costs TEXT NOT NULL,
            metrics TEXT,
            score REAL,
            loss REAL,
            scores BLOB,
            num_images INTEGER NOT NULL,
            error TEXT NOT NULL,
            seconds REAL NOT NULL,
            PRIMARY KEY (study, number)
        );
        INSERT INTO trials
            SELECT study, number, architecture, fidelity, batch_index, 0, 'complete', 1, '{}', NULL, score, loss,
                scores, num_images, '', 0.0
            FROM trials_before;
        DROP TABLE trials_before
        """,
    ],
)
