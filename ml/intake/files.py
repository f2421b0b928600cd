"""Which landing files a source names, what kind each is, and whether any changed.

Paths are relative to the dataset file; `${NAME}` stands for a variable, `*`,
`?` and `**` for many files, `scheme://` for files DuckDB reads where they are.
"""

import glob
import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ml.errors import DatasetError, Finding
from ml.intake.feedback import FOLDER_VARIABLE, sources_of
from ml.intake.schema import Dataset, LandingFiles, Tables
from ml.intake.suggest import closest

Format = Literal["delimited", "json", "parquet"]
FORMATS: dict[str, Format] = {
    ".csv": "delimited",
    ".tsv": "delimited",
    ".txt": "delimited",
    ".dat": "delimited",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
}
REMOTE = re.compile(r"[a-z0-9]+://")


@dataclass(frozen=True)
class LandingFile:
    """One file: where it is, its name as shown to people, its kind, how to read it, and its state when it was found.

    `num_bytes` is 0 and `modified_ns`, nanoseconds since 1970, None where DuckDB alone can reach it.
    """

    location: str
    name: str
    format: Format
    options: LandingFiles
    num_bytes: int = 0
    modified_ns: int | None = None

    @property
    def is_remote(self) -> bool:
        """Whether DuckDB alone can reach it."""
        return is_remote(self.location)

    @property
    def is_compressed(self) -> bool:
        """Whether it is gzip."""
        return self.location.endswith(".gz")

    @property
    def delimiter(self) -> str:
        """The delimiter given, or the one its name implies."""
        if self.options.delimiter is not None:
            return self.options.delimiter
        return "\t" if self.location.removesuffix(".gz").endswith(".tsv") else ","


def is_remote(location: str) -> bool:
    """Whether a path is an address such as s3://."""
    return REMOTE.match(location) is not None


def find_files(dataset: Dataset, options: LandingFiles) -> list[LandingFile]:
    """The files a path names, sorted by name. Raises `DatasetError` where there is none or its kind is unknown."""
    pattern = _expanded(dataset, options.path)
    locations = _matches(pattern)
    if not locations:
        raise DatasetError(str(dataset.path), [_absent(pattern, options.path)])
    return [_found(dataset, location, options) for location in locations]


def _found(dataset: Dataset, location: str, options: LandingFiles) -> LandingFile:
    file = LandingFile(location, _shown(dataset, location), _format(dataset, location, options.path), options)
    if file.is_remote:
        return file
    status = Path(location).stat()
    return replace(file, num_bytes=status.st_size, modified_ns=status.st_mtime_ns)


def dataset_fingerprint(dataset: Dataset) -> str:
    """SHA-256 over the dataset file and every landing file's name, size and modification time.

    Changes whenever a local landing file appears, disappears or is written; remote files count by address only.
    """
    digest = hashlib.sha256(dataset.path.read_bytes())
    for options in all_options(dataset):
        pattern = _expanded(dataset, options.path)
        for location in _matches(pattern):
            digest.update(f"\n{_shown(dataset, location)}".encode())
            if not is_remote(location):
                status = Path(location).stat()
                digest.update(f" {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()


def all_options(dataset: Dataset) -> list[LandingFiles]:
    """Every path the dataset file names, lookups included, then the feedback log."""
    sources = [source for table in Tables.model_fields for source in sources_of(dataset, table)]
    return [options for source in sources for options in (source, *source.lookups.values())]


def _expanded(dataset: Dataset, path: str) -> str:
    for name, value in dataset.variables.items():
        path = path.replace(f"${{{name}}}", value if is_remote(value) else glob.escape(value))
    return path if is_remote(path) else str(Path(glob.escape(str(dataset.path.parent))) / path)


def _matches(pattern: str) -> list[str]:
    if is_remote(pattern):
        return [pattern]
    # Path.glob cannot take a pattern that leaves its folder (../data/*.csv).
    return sorted(found for found in glob.glob(pattern, recursive=True) if Path(found).is_file())  # noqa: PTH207


def _shown(dataset: Dataset, location: str) -> str:
    """Relative to the dataset file or, below a variable's folder, from that variable on: equal on every machine."""
    if is_remote(location):
        return location
    path = Path(location)
    feedback = dataset.variables.get(FOLDER_VARIABLE)
    # The home may lie beside the dataset file on one machine and elsewhere on another.
    is_feedback = feedback is not None and path.is_relative_to(feedback)
    if path.is_relative_to(dataset.path.parent) and not is_feedback:
        return path.relative_to(dataset.path.parent).as_posix()
    for name, value in dataset.variables.items():
        if Path(value).is_absolute() and path.is_relative_to(value):
            return f"${{{name}}}/{path.relative_to(value).as_posix()}"
    return path.as_posix()


def _format(dataset: Dataset, location: str, path: str) -> Format:
    suffix = Path(location.removesuffix(".gz")).suffix.lower()
    if suffix not in FORMATS or (suffix == ".parquet" and location.endswith(".gz")):
        what = f"{Path(location).name} is of no known kind"
        raise DatasetError(str(dataset.path), [Finding(path, what, f"name it {', '.join(FORMATS)}; text may end in .gz")])
    return FORMATS[suffix]


def _absent(pattern: str, path: str) -> Finding:
    if glob.has_magic(pattern):
        return Finding(path, f"no file matches {pattern}", "check the pattern, or drop the source until its files are there")
    folder = Path(pattern).parent
    if not folder.is_dir():
        return Finding(path, f"the folder {folder} does not exist", "check the path; it is relative to the dataset file")
    beside = sorted(found.name for found in folder.iterdir() if found.is_file())
    found = ", ".join(beside[:10]) or "no file"
    return Finding(path, f"{pattern} does not exist; beside it: {found}", f"check the path{closest(Path(pattern).name, beside)}")
