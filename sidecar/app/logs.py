"""Logs: one line an event, for people on a terminal, as JSON elsewhere; always on stderr."""

import logging
import sys

import structlog

from sidecar.settings import Settings

_EXCEPTIONS = structlog.processors.ExceptionRenderer(
    # Local variables hold prompts, keys and all of the rules.
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure(settings: Settings, process: str) -> None:
    """Set up structlog; ``process`` (`control`, `worker 0`) is on every line."""
    console = settings.log_format == "console" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _EXCEPTIONS if not console else structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            getattr(logging, settings.log_level.upper())
        ),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
