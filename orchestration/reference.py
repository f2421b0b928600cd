"""Writes the generated pages: `docs/tables.md` from the contracts, `docs/config.md` from the settings.

`python -m orchestration.reference`; a test fails when a page no longer equals the code.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

from ml.config import PipelineConfig
from ml.contracts import CONTRACTS, TableContract
from ml.contracts.files import write_text
from ml.contracts.outputs import RECONCILIATION

DOCS = Path(__file__).resolve().parents[1] / "docs"


def tables_page() -> str:
    """Every table: what a row is, its key, its columns."""
    head = (
        "# Tables\n\nGenerated from `ml/contracts` by `make docs`. "
        "One Parquet file per table and day: `<home>/<dataset>/tables/<table>/<day>.parquet`.\n"
    )
    return head + "\n".join(_table_section(contract) for contract in (*CONTRACTS.values(), RECONCILIATION))


def config_page() -> str:
    """Every setting of a profile: name, default, meaning."""
    head = (
        "# Settings\n\nGenerated from `ml/config/pipeline.py` by `make docs`. "
        "A profile is a YAML file with any of these; what it leaves out keeps its default.\n"
    )
    defaults = PipelineConfig()
    return head + "\n".join(_config_section(name, getattr(defaults, name)) for name in PipelineConfig.model_fields)


def _table_section(contract: TableContract) -> str:
    lines = [
        f"\n## {contract.name}\n",
        f"Layer {contract.layer}, {contract.grain}. One row per {contract.row}. Key: {', '.join(contract.key) or 'none'}.\n",
        "| column | type | null | meaning |",
        "|---|---|---|---|",
    ]
    rows = [
        f"| `{column.name}` | {str(column.dtype).replace('|', '/')} | {'yes' if column.nullable else 'no'} | {column.description} |"
        for column in contract.columns
    ]
    return "\n".join([*lines, *rows, ""])


def _config_section(name: str, section: BaseModel) -> str:
    lines = [f"\n## {name}\n", f"{(section.__doc__ or '').strip()}\n", "| setting | default | meaning |", "|---|---|---|"]
    rows = [f"| `{name}.{field}` | {_shown(info.default)} | {info.description} |" for field, info in type(section).model_fields.items()]
    return "\n".join([*lines, *rows, ""])


def _shown(default: object) -> str:
    """A default as the page has it; of several by name, one a line."""
    if isinstance(default, Mapping) and default:
        return "<br>".join(f"`{name}`: {value}" for name, value in default.items())
    return f"`{default}`"


def write_pages(folder: Path = DOCS) -> None:
    """Write both pages."""
    write_text(tables_page(), folder / "tables.md")
    write_text(config_page(), folder / "config.md")


if __name__ == "__main__":
    write_pages()
