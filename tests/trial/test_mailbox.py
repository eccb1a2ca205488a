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


def test_the_exclusive_block_goes_down_the_line_past_those_who_died():
    async def main():
        mailbox = Mailbox()
        await mailbox.enter("device", ONE)
        await mailbox.enter("another", (4, 1))
        second = asyncio.create_task(mailbox.enter("device", OTHER))
        third = asyncio.create_task(mailbox.enter("device", THIRD))
        await asyncio.sleep(0.01)
        assert not second.done()
        await mailbox.leave(OTHER)  # it died while it waited
        await asyncio.sleep(0.01)
        assert second.done()
        assert not third.done()
        await mailbox.leave(ONE)
        await asyncio.wait_for(third, 10)

    asyncio.run(main())
