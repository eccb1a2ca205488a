"""What is printed where: results on stdout (with --json exactly one object), everything else on stderr."""

from __future__ import annotations

import contextlib
import contextvars
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

__all__ = [
    "only_json_on_stdout",
    "print_error",
    "print_json",
    "print_line",
    "print_note",
    "print_table",
    "progress_bars",
]

_NO_FOLDING = 100_000
_Show = Callable[[str, int, int | None, str], None]

_json_stream: contextvars.ContextVar[TextIO | None] = contextvars.ContextVar("_json_stream", default=None)


@contextlib.contextmanager
def only_json_on_stdout() -> Iterator[None]:
    """Inside, what anyone else prints on stdout, such as a user's model, goes to stderr."""
    token = _json_stream.set(sys.stdout)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        _json_stream.reset(token)


def print_json(content: Mapping[str, Any]) -> None:
    """Print the one object that a verb gives to machines."""
    stream = _json_stream.get() or sys.stdout
    stream.write(json.dumps(content, indent=2) + "\n")


def print_line(text: str) -> None:
    """Print a line of the result."""
    Console(highlight=False, soft_wrap=True).print(escape(text))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, num_words: int = 1) -> None:
    """Print a part of the result as a table: first `num_words` columns of words, then numbers, flush right.

    Cells are folded to the width of a terminal only: in a file or a pipe a row is a line.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position < num_words else "right", overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _NO_FOLDING
    console.print(table)


def print_note(text: str) -> None:
    """Tell the person at the terminal something that is no result."""
    _stderr().print(escape(text))


def print_error(kind: str, text: str) -> None:
    """Print an error as one paragraph."""
    _stderr().print(f"[bold red]{kind}:[/] {escape(text)}")


@contextlib.contextmanager
def progress_bars() -> Iterator[_Show]:
    """Bars on stderr, one a phase; yields `show(phase, done, total, detail)`; total None: how much is not known.

    A phase of unknown length is over when the next begins.

    Without a terminal a phase is a line when it begins and a line when it is done.
    """
    console = _stderr()
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[detail]}"),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as bars:

        def end_open() -> None:
            for task in bars.tasks:
                if task.total is None:
                    bars.update(task.id, total=task.completed)

        def show(phase: str, done: int, total: int | None, detail: str) -> None:
            if phase not in tasks:
                end_open()
                tasks[phase] = bars.add_task(escape(phase), total=total, detail="")
            bars.update(tasks[phase], completed=done, total=total, detail=escape(detail))

        yield show
        end_open()


def _lines(console: Console) -> _Show:
    said: set[tuple[str, bool]] = set()

    def show(phase: str, done: int, total: int | None, detail: str) -> None:
        finished = total is not None and done >= total
        if (phase, finished) not in said and (finished or (phase, True) not in said):
            said.add((phase, finished))
            console.print(escape(f"{phase}: {done}/{total} done" if finished else f"{phase} ..."))

    return show


def _stderr() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)
