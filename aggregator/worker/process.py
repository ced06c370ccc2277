"""The life of the worker process: wait until it may count, count, leave cleanly.

A worker that may not count (no generation, one of other rules, Kafka or Redis out of reach) waits outside
the consumer group, so that the partitions go to those who can.
"""

import asyncio
import os
import signal
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import structlog

from aggregator import metrics
from aggregator.config import AggregatorSettings
from aggregator.counters.generation import find_or_make_first
from aggregator.counters.store import Store
from aggregator.counting.decode import Decoder
from aggregator.erasure.take_in import Eraser
from aggregator.errors import PostponedError
from aggregator.garbage import look_seldom
from aggregator.log.admin import Cluster
from aggregator.log.dead_letters import DeadLetterWriter
from aggregator.log.erasures import ErasureTopic
from aggregator.log.faust_app import App, make_app
from aggregator.probes import serve
from aggregator.reminder import Reminder
from aggregator.worker.checking import Checker
from aggregator.worker.known_ids import KnownIds
from aggregator.worker.live import Live
from aggregator.worker.worker import Worker

log = structlog.get_logger(__name__)

RETRY_S: Final = 1.0
STOP_WITHIN_S: Final = 15.0
"""Faust waits up to a minute for a broker that is down; what is not applied is read again anyway."""

NO_ARCHIVE: Final = (
    "no archive is named (ARCHIVE_URL): the topic keeps every record for ever, with addresses, subjects and"
    " IPs, and where its retention removes any, what they told can be neither counted again nor proved"
)


def now_ms() -> int:
    """The clock of the process, in ms since 1970."""
    return time.time_ns() // 1_000_000


class Program:
    """One worker process."""

    def __init__(self, settings: AggregatorSettings) -> None:
        """Prepare.

        settings: of the process.
        """
        self._settings = settings
        self._rules = settings.rules
        self._cluster = Cluster(settings)
        self._known_ids = KnownIds(settings.ids_warning)
        self._stop = asyncio.Event()
        self._not_ready: str | None = "starting"
        self._worker: Worker | None = None

    async def run(self) -> int:
        """Run until SIGINT or SIGTERM.

        Returns: the exit status: 0, 1 for a port that is taken, 3 for a flood of unreadable records.
        """
        look_seldom()
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, self._stop.set)
        try:
            servers, port = await serve(
                self._settings.aggregator_port,
                self._settings.metrics_port,
                self._why_not_ready,
                metrics.WORKER,
            )
        except OSError as error:
            log.error(  # noqa: TRY400  # one clear line
                "cannot listen: set AGGREGATOR_PORT or METRICS_PORT to a free port", error=error.strerror
            )
            return 1
        log.info(
            "listening", port=port, topic=self._settings.events_topic, group=self._settings.consumer_group
        )
        if not self._settings.archive_url:
            log.warning(NO_ARCHIVE)
        try:
            status = await self._live()
        finally:
            await servers.aclose()
        log.info("stopped", status=status)
        return status

    async def _live(self) -> int:
        while not self._stop.is_set():
            await self._wait_until_admitted()
            if self._stop.is_set():
                break
            status = await self._count()
            if status is not None:
                return status
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), RETRY_S)
        return 0

    def _why_not_ready(self) -> str | None:
        return self._worker.not_ready if self._worker is not None else self._not_ready

    async def _wait_until_admitted(self) -> None:
        """Return when there is a generation that this worker may count into, or the process is to stop."""
        store = Store(self._settings)
        reminder = Reminder()
        while not self._stop.is_set():
            try:
                generation = await asyncio.to_thread(self._find, store)
            except PostponedError as error:
                self._not_ready = str(error)
                if reminder.is_due(self._not_ready):
                    log.warning("waiting outside the consumer group", why=self._not_ready)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), RETRY_S)
            else:
                log.info("admitted", generation=generation)
                break
        store.close()

    def _find(self, store: Store) -> str:
        store.open()
        group = self._settings.consumer_group
        found = find_or_make_first(store, self._cluster, self._rules, group, lanes=self._settings.lanes)
        self._cluster.check_group(group)
        return found.name

    async def _count(self) -> int | None:
        """Count until told to stop. Returns: an exit status, or none to wait outside and come back."""
        store = Store(self._settings)
        worker = self._worker = Worker(
            decoder=Decoder(self._rules),
            live=Live(
                rules=self._rules,
                store=store,
                dead_letters=DeadLetterWriter(self._settings),
                cluster=self._cluster,
                eraser=Eraser(self._settings, store),
            ),
            known_ids=self._known_ids,
            checker=Checker(
                rules=self._rules,
                store=Store(self._settings),
                cluster=Cluster(self._settings),
                erasures=ErasureTopic(self._settings),
            ),
            clock_ms=now_ms,
        )
        with tempfile.TemporaryDirectory(prefix="aggregator-") as directory:
            app = make_app(self._settings, worker, Path(directory))
            try:
                return await self._run_app(app, worker)
            finally:
                self._worker = None
                self._not_ready = "not in the consumer group"

    async def _run_app(self, app: App, worker: Worker) -> int | None:
        worker.bind(app.source)
        tasks = [asyncio.ensure_future(worker.keep_synced()), asyncio.ensure_future(worker.keep_ticking())]
        started = asyncio.ensure_future(app.start())
        stopped = asyncio.ensure_future(app.wait_until_stopped())
        stopping = asyncio.ensure_future(self._stop.wait())
        ends: set[asyncio.Future[Any]] = {stopping, worker.leaving, stopped, *tasks}
        try:
            await asyncio.wait({*ends, started}, return_when=asyncio.FIRST_COMPLETED)
            if started.done() and started.exception() is None:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in (started, *tasks):
                if task.done() and task.exception() is not None:
                    log.error("the worker failed, starting over", exc_info=task.exception())
            if app.crash_reason is not None:
                log.error("Faust failed, starting over", exc_info=app.crash_reason)
            if self._stop.is_set():
                return 0
            return worker.leaving.result() if worker.leaving.done() else None
        finally:
            deadline = _exit_hard_after(STOP_WITHIN_S)
            for future in (*tasks, started, stopped, stopping):
                future.cancel()
            await app.stop()
            worker.close()
            deadline.cancel()


def _exit_hard_after(seconds: float) -> threading.Timer:
    def end() -> None:
        log.warning("Kafka is out of reach, ending without leaving the group")
        os._exit(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    return timer
