"""The shape of a log line: what log collectors of operators parse.

One JSON object a line on stderr (`event`, `level`, `timestamp`, and what the line is about; `trace_id` and
`span_id` where it is about a request that is traced), or coloured
text where stderr is a terminal. Lines of libraries that use `logging` take the same shape. A traceback shows
no variables, as one may hold a password.
"""

import logging
import sys

import structlog
from structlog.typing import EventDict, Processor

from schemas.shared.traces import spans


def configure(level: int = logging.INFO, process: int | None = None) -> None:
    """Send every log line of the process to stderr in the one shape.

    level: the least severe level that is written. process: its number among those of the program, which each
    line has then; none: there is one alone.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    shared.append(_name_trace)
    if process is not None:

        def name_process(_logger: object, _method: str, line: EventDict) -> EventDict:
            return {**line, "process": process}

        shared.append(name_process)
    renderer: list[Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if sys.stderr.isatty()
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _name_trace(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Add to a line the trace that it belongs to."""
    line.update(spans.ids())
    return line
