import asyncio

from hwnas.trial.mailbox import Mailbox

ONE, OTHER, THIRD = (1, 1), (2, 1), (3, 2)


def test_messages_wait_until_they_are_taken_and_are_taken_once():
    async def main():
        mailbox = Mailbox()
        taking = asyncio.create_task(mailbox.take())
        await asyncio.sleep(0)
        await mailbox.tell({"n": 1})
        await mailbox.tell({"n": 2})
        assert await taking == [{"n": 1}, {"n": 2}]
        await mailbox.tell({"n": 3})
        assert await mailbox.take() == [{"n": 3}]

    asyncio.run(main())


def test_an_answer_reaches_the_one_who_asked():
    async def main():
        mailbox = Mailbox()
        asking = [asyncio.create_task(mailbox.ask(who, {"who": who})) for who in (ONE, OTHER)]
        assert await mailbox.take() == [{"who": ONE}, {"who": OTHER}]
        await mailbox.answer(OTHER, True)
        await mailbox.answer(ONE, False)
        await mailbox.answer(THIRD, True)  # gone
        assert await asyncio.gather(*asking) == [False, True]

    asyncio.run(main())


def test_who_died_hears_no_answer_and_who_watches_waits():
    async def main():
        mailbox = Mailbox()
        asking = asyncio.create_task(mailbox.ask(ONE, {}))
        watching = asyncio.create_task(mailbox.until_gone())
        await mailbox.take()
        await mailbox.leave(ONE)
        await mailbox.answer(ONE, True)
        await asyncio.sleep(0.01)
        assert not asking.done()
        assert not watching.done()
        for task in (asking, watching):
            task.cancel()

    asyncio.run(main())
