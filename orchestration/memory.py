"""How much memory DuckDB may use: what the settings say, and never above half of what this process may have."""

from pathlib import Path

import psutil

CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def bounded_memory(limit: str) -> str:
    """`limit` (such as "4GB"), or half of the memory there is where that is less."""
    number = limit.upper().rstrip("KMGTIB ")
    wanted = float(number) * _UNITS[limit.upper().strip()[len(number) :].strip()]
    half = available_bytes() / 2
    return limit if wanted <= half else f"{int(half / 2**20)}MiB"


def available_bytes() -> int:
    """Memory of the machine, or of the container where that has less."""
    machine = int(psutil.virtual_memory().total)
    said = CGROUP_LIMIT.read_text(encoding="ascii").strip() if CGROUP_LIMIT.exists() else "max"
    return machine if said == "max" else min(machine, int(said))
