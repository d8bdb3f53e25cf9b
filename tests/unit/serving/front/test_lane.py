"""A lane that nobody serves yet: what it takes, and what it gives up."""

import asyncio
import time

from airflow_provider_ifp.serving.front.lane import Call, Lane
from airflow_provider_ifp.serving.messages import Request

REQUEST = Request(0, b"{}", -1, "a", 0)


def waiting(limit, ages, then):
    """What calls of these ages (seconds) are told, once something was done to their lane."""

    async def run():
        lane = Lane(limit, 1.0, lambda *_: None)
        loop = asyncio.get_running_loop()
        calls = [Call(REQUEST, time.monotonic() - age, loop.create_future()) for age in ages]
        taken = [lane.submit(call) for call in calls]
        then(lane)
        await asyncio.sleep(0)
        told = [call.answer.result()[0].status if call.answer.done() else None for call in calls]
        return taken, told, lane.waiting

    return asyncio.run(run())


def test_a_full_lane_takes_no_more():
    assert waiting(2, [0, 0, 0], lambda _: None) == ([True, True, False], [None] * 3, 2)


def test_what_waited_too_long_is_given_up_and_the_rest_waits_on():
    assert waiting(5, [2, 1.5, 0], lambda lane: lane.sweep()) == ([True] * 3, [503, 503, None], 1)


def test_all_that_wait_are_told_when_nobody_will_answer():
    assert waiting(5, [0, 0], lambda lane: lane.drop_all("gone")) == ([True] * 2, [503, 503], 0)
