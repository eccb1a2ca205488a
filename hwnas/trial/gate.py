"""One trial at a time at a device, among all experiments of a cluster: an object in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Any

__all__ = ["Gate", "Ticket"]

Ticket = tuple[str, int, int]
"""An experiment, a trial's number and attempt."""


class Gate:
    """Lets one trial at a time into the exclusive block of a name, in the order in which they came.

    All methods run on one event loop, each until it waits; so they need no locks.
    """

    def __init__(self) -> None:
        self._lines: dict[str, deque[Ticket]] = {}
        self._moved = asyncio.Condition()
        self._over: set[Ticket] = set()
        self._watches: dict[str, asyncio.Task[None]] = {}  # by experiment

    async def enter(self, name: str, ticket: Ticket, mailbox: Any) -> None:
        """Wait for one's turn, or until one has left or is over.

        Args:
            name: of the block.
            ticket: who enters.
            mailbox: its experiment's, which ends with it: what `until_gone.remote()` gives is awaited.
        """
        experiment = ticket[0]
        if experiment not in self._watches:
            self._watches[experiment] = asyncio.create_task(self._watch(experiment, mailbox))
        if ticket in self._over:  # ended between asking and being heard
            return
        line = self._lines.setdefault(name, deque())
        line.append(ticket)
        async with self._moved:
            await self._moved.wait_for(lambda: ticket not in line or line[0] == ticket)

    async def leave(self, ticket: Ticket) -> None:
        """Who has it left its block."""
        await self._remove([ticket])

    async def end(self, ticket: Ticket) -> None:
        """Who has it died or was ended: if it still asks, it is not waited for."""
        self._over.add(ticket)
        await self._remove([ticket])

    async def _watch(self, experiment: str, mailbox: Any) -> None:
        """Let nobody wait for the trials of a program that was killed."""
        with contextlib.suppress(Exception):  # what a cluster says of an actor that is gone
            await mailbox.until_gone.remote()
        del self._watches[experiment]
        self._over = {ticket for ticket in self._over if ticket[0] != experiment}
        await self._remove([ticket for line in self._lines.values() for ticket in line if ticket[0] == experiment])

    async def _remove(self, tickets: list[Ticket]) -> None:
        for name, line in list(self._lines.items()):
            for ticket in tickets:
                if ticket in line:
                    line.remove(ticket)
            if not line:
                del self._lines[name]
        async with self._moved:
            self._moved.notify_all()
