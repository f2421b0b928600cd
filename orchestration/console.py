"""What a run says on a terminal: each step as it ends, and what steps report on the way."""

import logging
import sys
import time

import dagster as dg


class StepLines(logging.Handler):
    """One line per finished step with its seconds; progress and warnings of a step indented above it."""

    def __init__(self) -> None:
        super().__init__()
        self._started: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record if a person wants it."""
        event = getattr(record, "dagster_event", None)
        if event is None:
            if record.levelno >= logging.INFO:
                self._say(f"    {_original_message(record)}")
            return
        step = event.step_key or ""
        if event.is_step_start:
            self._started[step] = time.monotonic()
        elif event.is_step_success:
            self._say(f"  done {_short(step):<28} {time.monotonic() - self._started.get(step, time.monotonic()):6.1f} s")
        elif event.is_step_failure:
            self._say(f"  FAILED {_short(step)}")

    @staticmethod
    def _say(line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def step_lines_logger(_: dg.InitLoggerContext) -> logging.Logger:
    """The console logger of every run."""
    logger = logging.Logger("interest_graph.run", level=logging.DEBUG)
    logger.addHandler(StepLines())
    return logger


def _original_message(record: logging.LogRecord) -> str:
    return str(getattr(record, "dagster_meta", {}).get("orig_message", record.getMessage()))


def _short(step_key: str) -> str:
    return step_key.rsplit("__", 1)[-1]


STEP_LINES = dg.LoggerDefinition(step_lines_logger, description="A line per step; details are in the event log.")
