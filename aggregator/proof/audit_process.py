"""The life of the `audit` process: an audit, a pause, the next one, until SIGTERM.

Where nothing can be audited (there is no generation yet, Redis or Kafka is away) it looks again within
seconds, and `/readyz` says why; so it does from the start on, before it has looked for the first time.

The audits run in a thread of the lowest priority; the loop answers `/metrics`. As they
write nothing, they are not waited for at the end: the thread goes down with the process, in the middle of
an audit too. That takes care (`leave`): where the interpreter ends as it usually does, a thread that comes
back from DuckDB is ended within C++, which aborts the process (status 134).
"""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from random import SystemRandom
from typing import Final, NoReturn

import structlog

from aggregator import metrics
from aggregator.config import AuditSettings
from aggregator.counters.throttle import lower_priority
from aggregator.counting.timestamps import iso
from aggregator.errors import PostponedError
from aggregator.log.coverage import Coverage
from aggregator.probes import serve
from aggregator.proof.audit import Audit, Auditor
from aggregator.reminder import Reminder
from schemas.instants import DAY_MS

log = structlog.get_logger(__name__)

AGAIN_S: Final = 5
"""The pause after an audit that was postponed, where AUDIT_INTERVAL_S is not less."""

PRINTED_WITHIN_S: Final = 5

LINES_MAX: Final = 20
"""Cells of one audit that are named in the log; `verify` names all."""


class AuditProgram:
    """The `audit` process."""

    def __init__(self, settings: AuditSettings) -> None:
        """Prepare.

        settings: of the process.
        """
        self._settings = settings
        self._auditor = Auditor(settings, SystemRandom())
        self._trouble: str | None = "it has not looked yet whether there is anything to audit"
        self._reminder = Reminder()
        self._spans: list[tuple[str, list[str]]] = []

    async def run(self) -> int:
        """Run until SIGINT or SIGTERM.

        Returns: the exit status: 0, or 1 for a port that is taken or a defect of ours.
        """
        loop = asyncio.get_running_loop()
        end: asyncio.Future[int] = loop.create_future()

        def ended(status: int) -> None:
            if not end.done():
                end.set_result(status)

        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, ended, 0)
        try:
            servers, port = await serve(
                self._settings.audit_port, self._settings.metrics_port, lambda: self._trouble, metrics.AUDIT
            )
        except OSError as error:
            log.error(  # noqa: TRY400  # one clear line
                "cannot listen: set AUDIT_PORT or METRICS_PORT to a free port", error=error.strerror
            )
            return 1
        log.info("listening", port=port, topic=self._settings.events_topic)

        def audit_until_a_defect() -> None:
            try:
                self._audit_for_ever()
            finally:  # the interpreter prints what it was
                loop.call_soon_threadsafe(ended, 1)

        thread = threading.Thread(target=audit_until_a_defect, name="audit", daemon=True)
        thread.start()
        try:
            status = await end
            if status:  # it is about to end, and prints why
                await asyncio.to_thread(thread.join, PRINTED_WITHIN_S)
        finally:
            await servers.aclose()
        log.info("stopped", status=status)
        return status

    def leave(self, status: int) -> NoReturn:
        """End the process, whatever the thread is doing. status: what `run` has returned."""
        leave(status, self._auditor.discard)

    def _audit_for_ever(self) -> None:
        lower_priority()
        while True:
            pause_s = self._settings.audit_interval_s
            try:
                found = self._auditor.audit(time.time_ns() // 1_000_000, self._begun)
            except PostponedError as error:
                self._postponed(str(error))
                pause_s = min(AGAIN_S, pause_s)
            else:
                self._reminder.over()
                self._say_coverage(found.coverage)
                _report(found)
            time.sleep(pause_s)

    def _begun(self) -> None:
        """There is something to audit. What follows may read the log for an hour, and that is no trouble."""
        self._trouble = None

    def _postponed(self, why: str) -> None:
        """Say that nothing could be audited: at once, then once a minute at most."""
        self._trouble = why
        if self._reminder.is_due(why):
            log.warning("audit postponed", why=why)

    def _say_coverage(self, coverage: Coverage) -> None:
        """Set the metric of what the log can speak for, and say it where it has changed."""
        metrics.AUDIT_FIRST.set((coverage.first_ms or 0) / 1000)
        spans = coverage.spans()
        changed, self._spans = spans != self._spans, spans
        if spans and changed:
            log.warning(
                "audit: the log no longer has its beginning, earlier days are not audited",
                log=[cut.spelled() for cut in coverage.cuts],
                audited=[{"since": since, "fields": fields} for since, fields in spans],
            )


def leave(status: int, discard: Callable[[], None]) -> NoReturn:
    """End the process and its threads at once. discard: removes the files of what is under way."""
    discard()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _report(found: Audit) -> None:
    """Log what an audit found, and set the metrics."""
    for each in found.differences[:LINES_MAX]:
        log.error("audit: a cell differs", **each.cell.spelled(), log=each.log, redis=each.redis)
    if len(found.differences) > LINES_MAX:
        log.error("audit: more cells differ, `verify` names all", cells=len(found.differences) - LINES_MAX)
    for tenant, day in found.damaged:
        log.error("audit: counters are damaged", tenant=tenant, day=iso(day * DAY_MS))
    metrics.AUDIT_MISMATCH.inc(len(found.differences) + len(found.damaged))
    metrics.AUDIT_COMPARED.inc(found.compared)
    metrics.AUDIT_LAST_DONE.set_to_current_time()
    log.info(
        "audit done",
        tenant_days=found.compared,
        records=found.records,
        differ=len(found.differences) + len(found.damaged),
    )
