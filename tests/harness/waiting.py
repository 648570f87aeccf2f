"""Waiting on conditions, with a deadline and a reason when it passes."""

import asyncio
import inspect
import time

PAUSE = 0.05


async def eventually(condition, within=10.0, because="the condition holds"):
    """The first truthy answer of `condition` (plain or async); fails when none came within the deadline."""
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {because} (last answer: {answer!r})")
        await asyncio.sleep(PAUSE)
