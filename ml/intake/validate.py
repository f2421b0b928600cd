"""Everything that is wrong with a dataset, in one go, with its place and its mend.

Reads as `ml.intake.ingest` does and writes nothing. What keeps single rows out is
told per reason with a count and the first place; what looks odd but holds is a hint.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml.config.pipeline import IntakeConfig
from ml.errors import DatasetError, Finding
from ml.intake.dataset import VARIABLE, read_dataset
from ml.intake.hints import hints
from ml.intake.landing import Landing, land
from ml.intake.mapping import KINDS
from ml.intake.schema import Dataset, Source


@dataclass(frozen=True)
class ValidationReport:
    """What was found. `blocking` stops an ingestion, `row_findings` keep rows out, `hints` do neither."""

    blocking: tuple[Finding, ...]
    row_findings: tuple[Finding, ...]
    hints: tuple[Finding, ...]
    num_rows: dict[str, int]
    num_quarantined: dict[str, int]
    first_event_at: datetime | None
    last_event_at: datetime | None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that is wrong, what stops an ingestion first."""
        return (*self.blocking, *self.row_findings)

    def rows(self) -> list[dict[str, object]]:
        """One row per table, for people."""
        return [{"table": table, "rows": count, "kept_out": self.num_quarantined[table]} for table, count in self.num_rows.items()]

    def as_dict(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "num_rows": self.num_rows,
            "num_quarantined": self.num_quarantined,
            "first_event_at": self.first_event_at,
            "last_event_at": self.last_event_at,
            **{name: [vars(finding) for finding in getattr(self, name)] for name in ("blocking", "row_findings", "hints")},
        }


def validate(dataset: Dataset, *, config: IntakeConfig, now: datetime) -> ValidationReport:
    """Read every landing file and say what is wrong; raises nothing about the data.

    `num_rows` counts the rows that keep the contract, `num_quarantined` those that do not, by table.
    """
    with land(dataset, config=config, now=now) as landing:
        first, last = landing.connection.execute(f"SELECT min(event_at), max(event_at) FROM {landing.good('events')}").fetchall()[0]
        return ValidationReport(
            blocking=tuple(landing.findings),
            row_findings=tuple(_row_findings(landing)),
            hints=tuple(dict.fromkeys([*landing.hints, *hints(landing, first=first, last=last)])),
            num_rows={table: landing.count(landing.good(table)) for table in KINDS},
            num_quarantined={table: landing.num_rejected(table) for table in KINDS},
            first_event_at=first and first.astimezone(UTC),
            last_event_at=last and last.astimezone(UTC),
        )


def validate_file(path: Path, *, variables: Mapping[str, str], config: IntakeConfig, now: datetime) -> ValidationReport:
    """As `validate`, with what is wrong with the dataset file itself in the same list.

    Raises `DatasetError` only where the dataset file is too broken to name any landing file.
    """
    dataset, findings = read_dataset(path, variables=variables)
    if dataset is None:
        raise DatasetError(str(path), findings)
    if not findings:
        return validate(dataset, config=config, now=now)
    report = validate(_usable(dataset, findings), config=config, now=now)
    return replace(report, blocking=(*findings, *report.blocking), hints=())


def _usable(dataset: Dataset, findings: list[Finding]) -> Dataset:
    """The dataset with only the sources about which there is no finding and whose variables are set."""
    wrong = {finding.where for finding in findings}

    def is_usable(table: str, number: int, source: Source) -> bool:
        place = f"{dataset.path.name} tables.{table}[{number}]."
        paths = [options.path for options in (source, *source.lookups.values())]
        unset = {name for path in paths for name in VARIABLE.findall(path)} - dataset.variables.keys()
        return not unset and not any(where.startswith(place) for where in wrong)

    kept = {
        table: tuple(source for number, source in enumerate(dataset.tables.of(table)) if is_usable(table, number, source))
        for table in KINDS
    }
    # A weight that does not hold is said once already; 0 lets the rows of its type be judged by the rest.
    weights = {name: "0" if f"{dataset.path.name} weights.{name}" in wrong else weight for name, weight in dataset.weights.items()}
    return dataset.model_copy(update={"tables": dataset.tables.model_copy(update=kept), "weights": weights})


def _row_findings(landing: Landing) -> Iterator[Finding]:
    found = landing.connection.execute(
        "SELECT table_name, column_name, reason, arg_min(mend, (source_file, source_row)),"
        " min((source_file, source_row)) AS place, count(*) FROM rejected GROUP BY ALL ORDER BY table_name, place, column_name, reason"
    ).fetchall()
    for table, column, reason, mend, (file, row), count in found:
        more = f" and {count - 1:,} more row(s)" if count > 1 else ""
        yield Finding(f"{file} row {row}{more}", f"kept out of {table}: {reason} (column {column})", mend)
