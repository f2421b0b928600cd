"""Ranking quality over time: one metric of every model, day by day, with its bootstrap interval."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from html import escape

import pyarrow as pa
import pyarrow.compute as pc

from monitoring.report import page


@dataclass(frozen=True)
class QualityReport:
    """Rows of (day, model, value, ci_low, ci_high, num_users), oldest first, and the page that draws them."""

    table: pa.Table
    html: str


def quality_over_time(evaluations: Mapping[date, pa.Table], *, metric: str) -> QualityReport:
    """Gather `metric` over all users from each day's `evaluation` table and draw it; days without it are left out."""
    table = _gather(evaluations, metric=metric)
    title = f"Ranking quality: {metric}"
    if table.num_rows == 0:
        return QualityReport(table, page(title, f"<p>No evaluation holds {escape(metric)} yet.</p>"))
    return QualityReport(table, page(title, _figure(table, metric=metric) + _rows(table)))


def _gather(evaluations: Mapping[date, pa.Table], *, metric: str) -> pa.Table:
    schema = pa.schema(
        [
            ("day", pa.date32()),
            ("model", pa.string()),
            ("value", pa.float64()),
            ("ci_low", pa.float64()),
            ("ci_high", pa.float64()),
            ("num_users", pa.int64()),
        ]
    )
    found = []
    for day, evaluation in sorted(evaluations.items()):
        rows = evaluation.filter(pc.and_(pc.equal(evaluation.column("segment"), "all"), pc.equal(evaluation.column("metric"), metric)))
        rows = rows.select(schema.names[1:]).add_column(0, "day", pa.array([day] * rows.num_rows, pa.date32()))
        found.append(rows.cast(schema).sort_by("model"))
    return pa.concat_tables([schema.empty_table(), *found])


def _figure(table: pa.Table, *, metric: str) -> str:
    """A line per model with its interval, as inline SVG."""
    from matplotlib import rc_context  # noqa: PLC0415  (only a report needs it)
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    axes = figure.subplots()
    for model in pc.unique(table.column("model")).to_pylist():
        rows = table.filter(pc.equal(table.column("model"), model)).to_pydict()
        (line,) = axes.plot(rows["day"], rows["value"], marker="o", label=model)
        bounds = [rows[end] if None not in rows[end] else rows["value"] for end in ("ci_low", "ci_high")]
        axes.fill_between(rows["day"], *bounds, alpha=0.15, color=line.get_color())
    axes.set_ylabel(metric)
    axes.legend()
    figure.autofmt_xdate()
    drawn = io.StringIO()
    # A fixed salt and no date: the same rows give the same bytes.
    with rc_context({"svg.hashsalt": "quality"}):
        figure.savefig(drawn, format="svg", metadata={"Date": None})
    return drawn.getvalue()[drawn.getvalue().index("<svg") :]


def _rows(table: pa.Table) -> str:
    head = "".join(f"<th>{name}</th>" for name in table.column_names)
    cells = ["".join(f"<td>{_cell(value)}</td>" for value in row.values()) for row in reversed(table.to_pylist())]
    return f"<table><tr>{head}</tr>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>"


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else escape(str(value))
