"""Dataset files in: yaml to `Dataset`, with everything that is wrong said at once.

Landing files are only named here, never opened: see `ml.intake.validate` for
what is wrong with them.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ml.errors import DatasetError, Finding
from ml.intake.files import dataset_fingerprint
from ml.intake.mapping import check_dataset
from ml.intake.schema import Dataset, Source, Tables
from ml.intake.suggest import closest, listing

__all__ = ["Dataset", "Source", "dataset_fingerprint", "load_dataset", "read_dataset"]

VARIABLE = re.compile(r"\$\{([^}]*)\}")
SET_HERE = ("path", "variables")


def load_dataset(path: Path, *, variables: Mapping[str, str]) -> Dataset:
    """Read a dataset file; `${NAME}` in its paths is looked up in `variables`.

    Raises `DatasetError` with every finding about the file itself: unknown or
    missing keys, unset variables, unknown contract columns, SQL that cannot be read.
    """
    dataset, findings = read_dataset(path, variables=variables)
    if findings or dataset is None:
        raise DatasetError(str(path), findings)
    return dataset


def read_dataset(path: Path, *, variables: Mapping[str, str]) -> tuple[Dataset | None, list[Finding]]:
    """As `load_dataset`, but findings are returned; the dataset is there wherever its shape holds."""
    content, findings = _read_yaml(path)
    if findings:
        return None, findings
    named = sorted(set(_variables_in(content)))
    known = {name: variables[name] for name in named if name in variables}
    unset = [_unset(path, name, variables) for name in named if name not in variables]
    try:
        dataset = Dataset.model_validate({**content, "path": path.absolute(), "variables": known})
    except ValidationError as error:
        return None, [*_shape_findings(path, error), *unset]
    return dataset, [*unset, *check_dataset(dataset)]


def _read_yaml(path: Path) -> tuple[dict[str, Any], list[Finding]]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        return {}, [Finding(str(path), f"cannot be opened: {error.strerror}", "give the path of a dataset file; examples/ holds some")]
    except UnicodeDecodeError as error:
        return {}, [Finding(str(path), f"is not UTF-8 text: {error}", "save the dataset file as UTF-8")]
    except yaml.YAMLError as error:
        return {}, [Finding(str(path), f"is not valid YAML: {error}", "mend the line it names; quote text that holds ': ' or '#'")]
    if not isinstance(content, dict):
        return {}, [Finding(str(path), "holds no keys", "see docs/dataset-files.md for what a dataset file says")]
    reserved = [Finding(f"{path.name} {key}", "unknown key", f"drop it; keys: {_keys(Dataset)}") for key in SET_HERE if key in content]
    return content, reserved


def _variables_in(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from VARIABLE.findall(part) if key == "path" and isinstance(part, str) else _variables_in(part)
    elif isinstance(value, list):
        for part in value:
            yield from _variables_in(part)


def _unset(path: Path, name: str, variables: Mapping[str, str]) -> Finding:
    return Finding(path.name, f"the variable {name} is not set", f"export {name}=<folder>{closest(name, variables)}")


def _shape_findings(path: Path, error: ValidationError) -> list[Finding]:
    """One finding per place; a union names a place once per member."""
    findings: dict[str, Finding] = {}
    for found in error.errors():
        parts = [part for part in found["loc"] if not re.search(r"[\[(]", str(part)) and part not in {"str", "dict"}]
        if "[key]" in found["loc"]:
            parts.pop()
        place = f"{path.name} " + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
        findings.setdefault(place, _shape_finding(place, [str(part) for part in parts], found["type"], found["msg"], found["input"]))
    return list(findings.values())


def _shape_finding(place: str, parts: list[str], kind: str, message: str, given: object) -> Finding:
    if kind == "extra_forbidden":
        model = Dataset if len(parts) == 1 else Tables if len(parts) == 2 else Source
        return Finding(place, "unknown key", f"keys here: {_keys(model)}{closest(parts[-1], _known(model))}")
    if kind == "missing":
        return Finding(place, "is missing", f"add it; {_hint(parts[-1])}")
    what = message.removeprefix("Value error, ")
    return Finding(place, what if len(repr(given)) > 60 else f"{what} (found {given!r})", _hint(parts[-1]))


def _known(model: type[Dataset] | type[Tables] | type[Source]) -> list[str]:
    return [name for name in model.model_fields if model is not Dataset or name not in SET_HERE]


def _keys(model: type[Dataset] | type[Tables] | type[Source]) -> str:
    return listing(_known(model))


def _hint(key: str) -> str:
    hints = {
        "name": "name: my-shop",
        "language": "language: en, zh or auto",
        "timezone": "timezone: UTC, or e.g. Asia/Shanghai",
        "start": "start: 2024-01-01, the first day computed; it also holds all earlier history",
        "tables": "tables: {events: [...]}",
        "events": "events: [{path: ..., columns: {user_id: ..., item_id: ..., event_type: ..., event_at: ...}}]",
        "weights": "weights: {view: 1, rating: \"value - 3.0\"}; quote keys such as 'on' and 'no'",
        "path": "path: events.csv",
        "columns": "columns: {<contract column>: <SQL expression>}",
    }
    return hints.get(key, "see docs/dataset-files.md")
