import asyncio

from hwnas.trial.gate import Gate

MINE = [("mine", number, 1) for number in range(3)]
THEIRS = ("theirs", 0, 1)


class Mailbox:
    """A handle of one, as a cluster gives: calls are futures, and raise when it has gone."""

    def __init__(self):
        self.gone = asyncio.get_running_loop().create_future()
        self.until_gone = self

    def remote(self):
        return self.gone


def entering(gate, ticket, mailbox, name="device"):
    return asyncio.create_task(gate.enter(name, ticket, mailbox))


async def settled(*tasks):
    """Which of the tasks are done as soon as nothing moves any more."""
    await asyncio.sleep(0.01)
    return [task.done() for task in tasks]


def test_one_at_a_time_in_the_order_in_which_they_came():
    async def main():
        gate, mailbox, other = Gate(), Mailbox(), Mailbox()
        tasks = [entering(gate, MINE[0], mailbox), entering(gate, THEIRS, other), entering(gate, MINE[1], mailbox)]
        elsewhere = entering(gate, MINE[2], mailbox, name="another")
        assert await settled(*tasks, elsewhere) == [True, False, False, True]
        await gate.leave(MINE[0])
        assert await settled(*tasks) == [True, True, False]
        await gate.leave(THEIRS)
        assert await settled(*tasks) == [True, True, True]
        again = entering(gate, MINE[0], mailbox)
        assert await settled(again) == [False]
        await gate.leave(MINE[1])
        assert await settled(again) == [True]

    asyncio.run(main())


def test_the_line_goes_on_past_those_that_died():
    async def main():
        gate, mailbox = Gate(), Mailbox()
        tasks = [entering(gate, ticket, mailbox) for ticket in MINE]
        assert await settled(*tasks) == [True, False, False]
        await gate.end(MINE[1])  # while it waited
        assert await settled(*tasks) == [True, True, False]
        await gate.end(MINE[0])  # within its block
        assert await settled(*tasks) == [True, True, True]
        late = entering(gate, MINE[1], mailbox)  # what it had asked before comes now
        other = entering(gate, THEIRS, Mailbox())
        assert await settled(late, other) == [True, False]
        await gate.leave(MINE[2])
        assert await settled(other) == [True]

    asyncio.run(main())


def test_a_program_that_was_killed_leaves_with_all_its_trials():
    async def main():
        gate, mailbox, other = Gate(), Mailbox(), Mailbox()
        tasks = [entering(gate, ticket, mailbox) for ticket in MINE[:2]] + [entering(gate, THEIRS, other)]
        assert await settled(*tasks) == [True, False, False]
        mailbox.gone.set_exception(RuntimeError("the actor has died"))
        assert await settled(*tasks) == [True, True, True]
        gone = Mailbox()
        gone.gone.set_exception(RuntimeError("the actor has died"))
        await gate.leave(THEIRS)
        late, next_ = entering(gate, MINE[2], gone), entering(gate, ("next", 0, 1), other)
        assert await settled(late, next_) == [True, True]

    asyncio.run(main())
