"""The environment variables we read, read once, here.

Also the one place that turns every library's telemetry off and keeps model
hubs out of reach unless a profile names one.
"""

import os
import warnings
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

PROFILES = Path(__file__).parent / "profiles"
DEFAULT_HOME = Path(".interest-graph")

QUIET = {
    "DO_NOT_TRACK": "1",
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "0",
    "FEAST_USAGE": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    # scikit-learn's workers are not used, and their semaphores would be missed at exit.
    "JOBLIB_MULTIPROCESSING": "0",
}


@dataclass(frozen=True)
class Environment:
    """What the environment says: home folder, dataset file, profile file."""

    home: Path
    dataset_file: Path
    profile: Path
    variables: Mapping[str, str]


def read_environment(environ: Mapping[str, str]) -> Environment:
    """`INTEREST_GRAPH_HOME`, `INTEREST_GRAPH_DATASET` and `INTEREST_GRAPH_PROFILE`, with their defaults."""
    home = Path(environ.get("INTEREST_GRAPH_HOME", DEFAULT_HOME)).expanduser().resolve()
    dataset_file = Path(environ.get("INTEREST_GRAPH_DATASET", sample_dataset_file(home))).expanduser().resolve()
    return Environment(home, dataset_file, profile_path(environ.get("INTEREST_GRAPH_PROFILE", "default")), environ)


def sample_dataset_file(home: Path) -> Path:
    """Where the bundled sample's dataset file lies once it has been simulated."""
    return home / "samples" / "shop" / "shop.yaml"


def profile_path(name_or_path: str) -> Path:
    """A shipped profile by name, or any profile by path."""
    shipped = PROFILES / f"{name_or_path}.yaml"
    return shipped if shipped.exists() else Path(name_or_path).expanduser().resolve()


def quiet_libraries(environ: MutableMapping[str, str] = os.environ) -> None:
    """Set what keeps every library offline and to itself; what the user set wins."""
    for name, value in QUIET.items():
        environ.setdefault(name, value)
    # One job over assets that backfill as a range and assets that backfill by the day is what we mean.
    warnings.filterwarnings("ignore", message="Asset job .* materializes assets with varying BackfillPolicies")
    warnings.filterwarnings("ignore", message="Parameter `backfill_policy` .* is currently in beta")
