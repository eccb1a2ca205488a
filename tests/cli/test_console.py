import pytest

from hwnas.cli.console import print_line, print_table, progress_bars


def test_results_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    print_line("[['ds_r1_k3'], ['a' * 3]] [red]x[/red]")
    print_table(("budget", "limit"), [("latency", "5 ms"), ("[params]", "4 M")])
    out = capsys.readouterr().out
    assert "[['ds_r1_k3'], ['a' * 3]] [red]x[/red]\n" in out
    assert "[params]" in out


def test_without_a_terminal_a_phase_is_two_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bars() as show:
        for done in range(4):
            show("measure", done, 3, f"block {done}")
        show("search", 1, None, "")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "measure ...\nmeasure: 3/3 done\nsearch ...\n"
