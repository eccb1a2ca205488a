import re

import pytest

from hwnas.cli.console import print_line, print_table, progress_bars


def test_results_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("[['ds_r1_k3'], ['a' * 3]] [red]x[/red]")
    print_table(("budget", "limit"), [("latency", "5 ms"), ("[params]", "4 M")])
    out = capsys.readouterr().out
    assert "[['ds_r1_k3'], ['a' * 3]] [red]x[/red]\n" in out
    assert "[params]" in out


def test_without_a_terminal_a_row_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    name = "latency-5ms_params-4M_" * 10  # of a search, to be given to --study
    print_table(("trials", "done"), [(name, "12")])
    head, row = capsys.readouterr().out.splitlines()
    assert row == f"{name}    12"
    assert head == f"{'trials':<{len(name)}}  done"


def test_without_a_terminal_a_phase_is_two_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars() as show:
        for done in range(4):
            show("measure", done, 3, f"block {done}")
        show("search", 1, None, "")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "measure ...\nmeasure: 3/3 done\nsearch ...\n"


def test_on_a_terminal_a_phase_of_unknown_length_ends_with_the_next(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bars() as show:
        show("search", 3, None, "")
        show("train", 0, 2, "")
        show("export", 1, None, "")
    drawn = re.findall(r"(search|train|export) .*?(\d+/[\d?]+)", capsys.readouterr().err)
    assert drawn[-3:] == [("search", "3/3"), ("train", "0/2"), ("export", "1/1")]
