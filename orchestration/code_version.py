"""The version of the code behind an asset: a hash of every module of ours that decides its values, and of their word lists.

Followed are imports into the computing packages, from the asset's own module on;
settings come in as values and errors decide no value, so neither is followed.
Dagster shows an asset as stale when its version moves on.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel

CODE = Path(__file__).resolve().parents[1]
COMPUTING = ("ml.", "monitoring.", "feature_repo.")
NOT_COMPUTING = ("ml.config", "ml.errors")
# What computes besides our own code: another version of these may give other bits.
LIBRARIES = ("duckdb", "jieba", "numpy", "pyarrow", "scikit-learn", "scikit-network", "scipy", "torch", "transformers")


def code_version(module: str, *, settings: tuple[BaseModel | str, ...]) -> str:
    """Twelve characters of code and libraries, twelve of the settings (values that decide what is computed)."""
    said = "".join(part if isinstance(part, str) else part.model_dump_json() for part in settings)
    return f"{_code_hash(module)}-{hashlib.sha256(said.encode()).hexdigest()[:12]}"


@cache
def _code_hash(module: str) -> str:
    digest = hashlib.sha256()
    code = _closure(module)
    folders = {path.parent for path in code.values()}
    for name, path in sorted(code.items()):
        digest.update(f"{name}\n".encode())
        digest.update(path.read_bytes())
    for file in sorted(file for folder in folders for file in folder.rglob("*.txt")):
        digest.update(file.read_bytes())
    digest.update("".join(f"{library}=={version(library)}\n" for library in LIBRARIES).encode())
    return digest.hexdigest()[:12]


def _closure(module: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _source(name)
        if name in found or path is None:
            continue
        found[name] = path
        waiting += [imported for imported in _imports(path) if _is_computing(imported)]
    return found


def _source(module: str) -> Path | None:
    """A module's file; None for a name imported from a module, whose module is followed anyway."""
    place = CODE.joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.exists()), None)


@cache
def _imports(path: Path) -> tuple[str, ...]:
    return tuple(_imported(ast.parse(path.read_text(encoding="utf-8"))))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _is_computing(module: str) -> bool:
    return module.startswith(COMPUTING) and not module.startswith(NOT_COMPUTING)
