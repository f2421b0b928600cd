"""What a person sees on an asset's page: Markdown tables and plots."""

import base64
import io
from collections.abc import Mapping, Sequence

import dagster as dg
import pyarrow as pa
from matplotlib.figure import Figure

MAX_CELL_CHARACTERS = 80


def markdown_table(table: pa.Table) -> str:
    """A small table as Markdown; long cells are shortened."""
    header = f"| {' | '.join(table.column_names)} |\n|{'---|' * table.num_columns}"
    rows = ["| " + " | ".join(_cell(value) for value in row.values()) + " |" for row in table.to_pylist()]
    return "\n".join([header, *rows])


def png(content: bytes) -> dg.MarkdownMetadataValue:
    """A picture inside an asset's page."""
    return dg.MetadataValue.md(f"![]({'data:image/png;base64,' + base64.b64encode(content).decode()})")


def line_plot(series: Mapping[str, Sequence[float]], *, x_label: str) -> bytes:
    """Lines over 1, 2, 3, ... as PNG bytes, one panel per series."""
    figure = Figure(figsize=(4.5 * len(series), 3), layout="constrained")
    for axis, (name, values) in zip(figure.subplots(1, len(series), squeeze=False)[0], series.items(), strict=True):
        axis.plot(range(1, len(values) + 1), values)
        axis.set_xlabel(x_label)
        axis.set_title(name)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return buffer.getvalue()


def _cell(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    text = text.replace("|", "\\|").replace("\n", " ")
    return text if len(text) <= MAX_CELL_CHARACTERS else text[: MAX_CELL_CHARACTERS - 1] + "…"
