"""One line an event, JSON unless a terminal reads it. Never personal data: ids, names of forms, counts."""

import asyncio
import logging
import sys
import traceback
from pathlib import Path
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Logger = structlog.stdlib.BoundLogger


def get_logger(room: str) -> Logger:
    logger: Logger = structlog.stdlib.get_logger("leadgate." + room)
    return logger


def configure_logging(style: Literal["json", "console"] | None, *, stream: TextIO | None = None) -> None:
    """Sends every library's records and ours through the same renderer, to standard error."""
    out = stream or sys.stderr
    console = style == "console" or (style is None and out.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _render_exception,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=out.isatty())
        if console
        else structlog.processors.JSONRenderer(ensure_ascii=True)
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_drop_arguments, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("leadgate").setLevel(logging.INFO)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # anybody's broken body would fill the log


def report_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An event loop's exception handler: its own repeats what an exception says."""
    get_logger("process").error(
        "loop_error", cause=context.get("message"), exc_info=context.get("exception") or False
    )


def _drop_arguments(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """What a library says is its sentence alone: the values put into it may be what a visitor typed."""
    said = event["_record"].msg
    event["event"] = said if isinstance(said, str) else type(said).__name__
    return event


def _render_exception(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A traceback names places and types, never values: a message may repeat what a visitor typed."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)
        event["exception"] = type(error).__qualname__
        event["trace"] = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    return event
