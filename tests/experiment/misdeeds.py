"""Evaluations that do what they should not, in a module that workers import quickly."""

import os
import sys

MEGABYTE = "x" * 2**20


def score(architecture):
    return float(architecture["c0"])


def misbehaving(architecture):
    """Each option is another misdeed."""
    if architecture["c0"] == 0:
        os.chdir("/")
        print(MEGABYTE)
    if architecture["c0"] == 1:
        sys.exit(3)
    if architecture["c0"] == 2 and os.fork() == 0:
        return 100.0  # what was forked comes back
    if architecture["c0"] == 3:
        raise ValueError(MEGABYTE)
    return 1.0


def interrupting(architecture):
    if architecture["c0"] == 2:
        raise KeyboardInterrupt
    return 1.0
