"""Formats the log: JSON in production, readable text in development. One line for each event.

It applies only where the app has not configured logging, as Flask does for its own logger. To have other loggers in
the same form:

    logging.config.dictConfig({"version": 1,
        "formatters": {"json": {"()": "sessions_core.parts.operations.logs.JsonLines"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["stderr"]}, "loggers": {"sessions_core": {"level": "INFO"}}})
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click
from flask import Flask
from flask.logging import default_handler

from ...events import Event
from ...web import request_id

_PACKAGE = __name__.removesuffix(".parts.operations.logs")


class JsonLines(logging.Formatter):
    """One JSON object a line: `time` (ISO 8601, UTC), `level`, `request_id`, and `event` with its `data`, or `logger`
    with its `message`, and `exception`.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line. It is ASCII: text from a client can neither end the line nor control a terminal."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        current = request_id.current()
        if current is not None:
            line["request_id"] = current
        event = getattr(record, "event", None)
        if isinstance(event, Event):
            line |= {"event": event.name, "data": asdict(event)}
        else:
            line |= {"logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=repr)


class Readable(logging.Formatter):
    """Time, level, what happened, and the id of the request."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(text)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and a traceback below it."""
        event, current = getattr(record, "event", None), request_id.current()
        if isinstance(event, Event):
            fields = (f"{name}={_plain(str(value))}" for name, value in asdict(event).items() if value is not None)
            text = f"{event.name} {' '.join(fields)}"
        else:
            text = _plain(record.getMessage())
        record.text = text if current is None else f"{text} [{current}]"
        return super().format(record)


def set_up(app: Flask, development: bool) -> None:
    """Send the lines of this package and of the application to standard error, unless they have a place already.

    In `development` they are readable text, otherwise JSON.
    """
    package_logger = logging.getLogger(_PACKAGE)
    if package_logger.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(Readable() if development else JsonLines())
    handler.addFilter(_is_no_command)
    package_logger.addHandler(handler)
    package_logger.setLevel(logging.INFO)
    app.logger.removeHandler(default_handler)
    app.logger.addHandler(handler)


def _is_no_command(record: logging.LogRecord) -> bool:
    # A command prints its results; only warnings and errors go to the log as well. `flask run` answers in other
    # threads.
    return record.levelno >= logging.WARNING or click.get_current_context(silent=True) is None


def _plain(text: str) -> str:
    # Control and format characters as they are written in Python: they could end the line, or rewrite the terminal.
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
