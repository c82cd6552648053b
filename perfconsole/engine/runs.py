"""One run of a collector at a target: bounded in time, what it found taken in, and how it did. Knows neither ticks nor readers."""

import asyncio
import time
from collections.abc import Callable, Sequence

from perfconsole.core.errors import CollectorError
from perfconsole.core.ports import Result, Slot
from perfconsole.core.tables import View
from perfconsole.core.text import safe
from perfconsole.core.tick import Health
from perfconsole.engine.clock import Clock, Moment
from perfconsole.engine.intake import Intake
from perfconsole.engine.schedule import Job


class Runs:
    """Runs jobs; on the engine's loop.

    Args:
        clock: The engine's.
        intake: Takes results and findings.
        views: What is looked at now.
        over: Called when a run has ended.
    """

    def __init__(self, clock: Clock, intake: Intake, views: Callable[[], Sequence[View]], over: Callable[[], None]) -> None:
        self._clock, self._intake = clock, intake
        self._views, self._over = views, over

    def begin(self, job: Job, now: Moment) -> asyncio.Task[None]:
        """Start a run."""
        job.started(now.boot)
        job.task = asyncio.create_task(self.run(job, Slot(now.at, now.boot, now.boot + job.timeout_s)))
        return job.task

    async def run(self, job: Job, slot: Slot) -> None:
        """Run a job to its end; whatever its collector does, this raises nothing."""
        collector, target = job.collector, job.target
        before = time.thread_time()
        failures, state, error, fix = job.failures + 1, "ok", "", ""
        try:
            async with asyncio.timeout(job.timeout_s):
                result = await collector.run(target, slot, self._views())
            self._intake.take(collector, result, self._clock.now().at)
            failures = 0
            if said := _said(result, collector.name, target):
                state, error, fix = said.state, said.error, said.fix
            if state == "ok":
                job.last_ok = self._clock.now().at
        except CollectorError as failure:
            state, error, fix = failure.state, failure.message, failure.fix
        except TimeoutError:
            state, error = "error", f"did not finish within {job.timeout_s:g} s"
        except Exception as failure:  # noqa: BLE001  one collector's fault must show on its pane and stop nothing else
            state, error = "error", safe(f"{type(failure).__name__}: {failure}", 300)
        finally:
            job.task = None
        job.failures = failures
        cost_s = time.thread_time() - before
        self._intake.find(Health(collector.name, target, state, self._clock.now().at, job.last_ok, cost_s, error, fix))
        self._over()


def _said(result: Result, collector: str, target: str) -> Health | None:
    """What a run says of its target itself, in place of the "ok" that is implied by its end.

    That a server is down is a finding, not a fault: when to ask it again, its collector knows better than a back-off does.
    """
    return next((health for health in result.health if (health.collector, health.target) == (collector, target)), None)
