"""The life of the `archive` process: it follows the topic until SIGTERM, then ends its files.

The archiver runs in a thread; the loop answers `/metrics`. What keeps it from going on is waited for and
tried again, but for what only an operator can put right.
"""

import asyncio
import signal
import threading
from typing import Final

import structlog

from aggregator import metrics
from aggregator.archive.archiver import Archiver
from aggregator.archive.store import Store
from aggregator.config import ArchiveSettings
from aggregator.errors import PostponedError, RefusedError
from aggregator.probes import serve
from aggregator.reminder import Reminder

log = structlog.get_logger(__name__)

RETRY_S: Final = 5.0


class ArchiveProgram:
    """The `archive` process."""

    def __init__(self, settings: ArchiveSettings, store: Store, trim_days: int | None) -> None:
        """Prepare.

        settings: of the process. store: of the archive. trim_days: as in `Archiver`.
        """
        self._settings = settings
        self._archiver = Archiver(settings, store, trim_days)
        self._stopped = threading.Event()
        self._refused: RefusedError | None = None

    async def run(self) -> int:
        """Run until SIGINT or SIGTERM.

        Returns: the exit status: 0, or 1 for a port that is taken or an archive that must not be written.
        """
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(signum, self._stopped.set)
        try:
            servers, port = await serve(
                self._settings.archive_port,
                self._settings.metrics_port,
                lambda: self._archiver.trouble,
                metrics.ARCHIVE,
            )
        except OSError as error:
            log.error(  # noqa: TRY400  # one clear line
                "cannot listen: set ARCHIVE_PORT or METRICS_PORT to a free port", error=error.strerror
            )
            return 1
        log.info("listening", port=port)
        metrics.ARCHIVE_COMPLETE_THROUGH.set_to_current_time()
        try:
            await asyncio.to_thread(self._archive_for_ever)
        except RefusedError as error:
            log.error("the archive must not be written", why=str(error))  # noqa: TRY400  # one clear line
            return 1
        finally:
            await servers.aclose()
        log.info("stopped")
        return 0

    def _archive_for_ever(self) -> None:
        reminder = Reminder()
        while not self._stopped.is_set():
            try:
                self._archiver.run(self._stopped)
            except PostponedError as error:
                self._archiver.trouble = why = str(error)
                if reminder.is_due(why):
                    log.warning("archiving postponed", why=why)
                self._stopped.wait(RETRY_S)
