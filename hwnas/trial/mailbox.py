"""Where trials on a cluster and the program that runs them talk: an object in a process of its own, for all of them."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["Attempted", "Mailbox"]

Attempted = tuple[int, int]
"""A trial's number and attempt."""


class Mailbox:
    """Messages of an experiment's trials, and the answers to them.

    All methods run on one event loop, each until it waits; so they need no locks.
    """

    def __init__(self) -> None:
        self._messages: list[dict[str, Any]] = []
        self._has_messages = asyncio.Event()
        self._answers: dict[Attempted, asyncio.Future[bool]] = {}

    async def tell(self, message: dict[str, Any]) -> None:
        """A trial says something."""
        self._messages.append(message)
        self._has_messages.set()

    async def ask(self, attempted: Attempted, message: dict[str, Any]) -> bool:
        """A trial says something, and waits for the answer."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._answers[attempted] = answer
        await self.tell(message)
        return await answer

    async def take(self) -> list[dict[str, Any]]:
        """What was said since the last time; waits until there is something."""
        await self._has_messages.wait()
        self._has_messages.clear()
        messages, self._messages = self._messages, []
        return messages

    async def answer(self, attempted: Attempted, stop: bool) -> None:
        """The answer to what a trial asked."""
        answer = self._answers.pop(attempted, None)
        if answer is not None:
            answer.set_result(stop)

    async def leave(self, attempted: Attempted) -> None:
        """A trial died and will hear no answer."""
        self._answers.pop(attempted, None)

    async def until_gone(self) -> None:
        """Waits as long as there is this object; whoever waits hears that it has gone."""
        await asyncio.Event().wait()
