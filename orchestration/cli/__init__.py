"""The command line `interest-graph`: one module per family of commands.

Commands parse, call, print; they hold no logic of their own. Exit codes: 0 done,
1 failed, 2 bad input (dataset file, profile, arguments, API keys).
"""

import atexit
import os
import sys

import typer

from ml.errors import AccessError, ConfigError, DatasetError, InterestGraphError
from orchestration.cli import keys, knowledge, lookups, main_job, online, releases, text, tuning
from orchestration.environment import quiet_libraries

app = typer.Typer(
    name="interest-graph",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="Behaviour logs and item text in; named interests, item features and explained recommendations out.",
    epilog="Environment: INTEREST_GRAPH_HOME (all state), INTEREST_GRAPH_DATASET (dataset file), INTEREST_GRAPH_PROFILE (name or path).",
)
main_job.register(app)
lookups.register(app)
knowledge.register(app)
text.register(app)
releases.register(app)
tuning.register(app)
online.register(app)
keys.register(app)


def main() -> None:
    """Run the command line; our own errors become one message and an exit code."""
    quiet_libraries()
    code = _exit_code()
    # As at any exit: what libraries registered, such as giving their semaphores back.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    # DuckDB 2.0's bindings list their own objects at interpreter exit beside Dagster; nothing of ours is left to tidy.
    os._exit(code)


def _exit_code() -> int:
    try:
        app()
    except (DatasetError, ConfigError, AccessError) as error:
        return _report(error, code=2)
    except InterestGraphError as error:
        return _report(error, code=1)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 0


def _report(error: InterestGraphError, *, code: int) -> int:
    sys.stderr.write(f"error: {error}\n")
    return code
