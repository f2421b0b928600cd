"""Logs as JSON lines on stderr, without personal data: no path with ids, no text, no body, no address, no secret.

An access log has a line per request; libraries' own records become lines too, with
the place of an error instead of its message, which may quote what was asked.
"""

import json
import logging
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

from serving.record import RequestRecord


class AccessLog:
    """Writes one line per request."""

    def __init__(self, stream: TextIO, *, now: Callable[[], datetime]) -> None:
        self._stream = stream
        self._now = now

    def write(self, record: RequestRecord, *, status: int, seconds: float) -> None:
        """Log a request that has been answered; `seconds` is how long that took."""
        line = {
            "time": self._now().isoformat(timespec="milliseconds"),
            "route": record.route,
            "method": record.method,
            "status": status,
            "ms": round(seconds * 1000, 3),
            "key": record.key_id,
            "request_id": record.request_id,
            "release": record.release,
            "rung": record.rung,
        }
        further = {"problem": record.problem, "error": record.error}
        _write(self._stream, {**line, **{name: value for name, value in further.items() if value is not None}})


def error_place(error: BaseException) -> str:
    """What kind of error it was and where, innermost last: `KeyError at app.py:12 in recommend`; never its message."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno} in {frame.name}" for frame in frames)
    return f"{type(error).__name__} at {places}" if places else type(error).__name__


class JsonFormatter(logging.Formatter):
    """A library's log record as a JSON line."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, and the message; of an exception its place."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = error_place(record.exc_info[1])
        else:
            line["message"] = record.getMessage()
        return json.dumps(line, ensure_ascii=False)


def logging_settings() -> dict[str, Any]:
    """Python's logging while a service runs: everything as JSON lines on stderr, uvicorn's start and stop included."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonFormatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {"uvicorn": {"level": "INFO"}},
    }


def _write(stream: TextIO, line: dict[str, Any]) -> None:
    stream.write(json.dumps(line, ensure_ascii=False) + "\n")
    stream.flush()
