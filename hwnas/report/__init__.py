"""Figures and the HTML report of a finished search.

    data.py       what a report is made of: `ReportData` and its records
    figures.py    the charts, as pure functions
    page.py       `write_report`: one self-contained HTML file (page.html, page.css, page.js)
    front.py      `write_front_csv`
    formats.py    counts, fractions and durations as people read them

Nothing here runs a search or reads a run directory: whoever ran it fills `ReportData`.
"""

from hwnas.report.data import BlockTime, BudgetRow, ExpectedCost, FrontPoint, Network, ReportData, SplitRow
from hwnas.report.front import write_front_csv
from hwnas.report.page import render_report, write_report

__all__ = [
    "BlockTime",
    "BudgetRow",
    "ExpectedCost",
    "FrontPoint",
    "Network",
    "ReportData",
    "SplitRow",
    "render_report",
    "write_front_csv",
    "write_report",
]
