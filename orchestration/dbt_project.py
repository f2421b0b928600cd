"""The dbt project as Dagster needs it: where it lies and its parsed manifest.

The manifest is parsed once per state of the SQL and kept in the home folder, so
that starting Dagster costs nothing when nothing changed.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from ml.errors import InterestGraphError

PROJECT = Path(__file__).resolve().parents[1] / "transforms"
DBT = Path(sys.executable).with_name("dbt")


def manifest_path(home: Path) -> Path:
    """The parsed manifest of the project as it is now; parses it if that was not done yet."""
    target = home / "dbt" / project_fingerprint()
    manifest = target / "manifest.json"
    if not manifest.exists():
        _parse(target, scratch=home / "dbt" / f"parsing-{os.getpid()}")
    return manifest


@cache
def project_fingerprint() -> str:
    """Changes when a model, a macro or a setting of the project does."""
    digest = hashlib.sha256()
    sources = (path for path in PROJECT.rglob("*") if path.suffix in {".sql", ".yml"} and "target" not in path.parts)
    for path in sorted(sources):
        digest.update(str(path.relative_to(PROJECT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _parse(target: Path, *, scratch: Path) -> None:
    scratch.mkdir(parents=True, exist_ok=True)
    command = [str(DBT), "--quiet", "parse", "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    environment = {**os.environ, "INTEREST_GRAPH_WAREHOUSE": ":memory:"}
    done = subprocess.run(  # noqa: S603  our own command
        [*command, "--target-path", str(scratch), "--log-path", str(scratch)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise InterestGraphError(f"dbt could not parse {PROJECT}:\n{done.stdout}\n{done.stderr}")
    try:
        scratch.rename(target)
    except OSError:
        # Another process parsed the same project at the same time and was first.
        if not (target / "manifest.json").exists():
            raise
        shutil.rmtree(scratch)
