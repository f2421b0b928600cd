"""What a dataset file may say: frozen pydantic models, unknown keys refused.

Only the shape of the file lives here; reading it with all its findings at once
is `ml.intake.dataset`, what the expressions mean is `ml.intake.mapping`.
"""

import codecs
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ml.intake.suggest import closest

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
LOOKUP_NAME = re.compile(r"[a-z_][a-z0-9_]*")
# `source` is what a mapping's SQL calls the rows of the source itself.
SOURCE_RELATION = "source"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _as_expression(value: Any) -> Any:
    # YAML reads `value: 1` as a number; as SQL it is the text "1".
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _or_empty(value: Any) -> Any:
    return () if value is None else value


def _checked_timezone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"{value!r} is no IANA time zone{closest(value, available_timezones())}")
    return value


def _checked_encoding(value: str) -> str:
    try:
        return codecs.lookup(value).name
    except LookupError as error:
        raise ValueError(f"{value!r} is no known encoding; common ones: utf-8, latin-1, gb18030") from error


def _checked_name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError(f"{value!r} holds other than a-z, 0-9, '-', '_', or starts with a sign; it names folders and a Feast project")
    return value


Expression = Annotated[str, BeforeValidator(_as_expression), Field(min_length=1)]


class LandingFiles(_Part):
    """Files of one shape, and how to read them."""

    path: str = Field(min_length=1, description="file or glob, relative to the dataset file, `${VARIABLE}` allowed, or s3://")
    delimiter: Annotated[str, Field(min_length=1, max_length=4)] | None = Field(None, description="default: comma, tab for .tsv")
    quote: str = Field('"', max_length=1, description="quote character of delimited text; empty: none")
    encoding: Annotated[str, AfterValidator(_checked_encoding)] = Field("utf-8", description="of text files")
    header: bool = Field(True, description="false: delimited text without a header line, `names` says the columns")
    names: tuple[str, ...] = Field((), description="column names where there is no header line")
    growing: bool = Field(False, description="true: jsonl that is still appended to; a last line without its line feed is left for later")

    @model_validator(mode="after")
    def _names_where_no_header(self) -> "LandingFiles":
        if not self.header and not self.names:
            raise ValueError("header: false needs names: [column, ...] in the file's order")
        if self.header and self.names:
            raise ValueError("names is for files without a header line; add header: false or drop names")
        return self

    @model_validator(mode="after")
    def _only_lines_grow(self) -> "LandingFiles":
        if self.growing and not self.path.endswith((".jsonl", ".ndjson")):
            raise ValueError(
                "growing is for .jsonl and .ndjson, whose lines stand alone; write other files under another name, then rename"
            )
        return self


class Source(LandingFiles):
    """Landing files mapped to one contract table by SQL expressions over their columns."""

    columns: dict[str, Expression | dict[str, Expression]] = Field(description="contract column to SQL expression")
    where: Expression | None = Field(None, description="SQL condition; rows for which it does not hold are no part of the source")
    join: str | None = Field(None, description="SQL joins onto `source` that keep one row per row of the file")
    lookups: dict[str, LandingFiles] = Field(default_factory=dict, description="other files, by the name `join` uses")

    @model_validator(mode="after")
    def _lookups_have_names(self) -> "Source":
        for name in self.lookups:
            if name == SOURCE_RELATION or not LOOKUP_NAME.fullmatch(name):
                raise ValueError(f"lookup {name!r} needs a name of a-z, 0-9 and _ other than {SOURCE_RELATION!r}")
        return self


Sources = Annotated[tuple[Source, ...], BeforeValidator(_or_empty)]


class Tables(_Part):
    """The sources of each contract table."""

    events: tuple[Source, ...] = Field(min_length=1, description="what users did")
    items: Sources = Field((), description="the catalogue")
    users: Sources = Field((), description="what is known of users")
    knowledge: Sources = Field((), description="triples")

    def of(self, table: str) -> tuple[Source, ...]:
        """The sources of a table by its name."""
        sources: tuple[Source, ...] = getattr(self, table)
        return sources


class Dataset(_Part):
    """A dataset file that holds, with where it lies and the variables its paths name."""

    # Where things lie decides no row: what is written out says only what the file itself does.
    path: Path = Field(description="the dataset file", exclude=True)
    variables: dict[str, str] = Field(default_factory=dict, description="values of the variables its paths name", exclude=True)
    name: Annotated[str, AfterValidator(_checked_name)]
    language: Literal["en", "zh", "auto"] = "auto"
    timezone: Annotated[str, AfterValidator(_checked_timezone)] = Field("UTC", description="zone of timestamps without one")
    start: date = Field(description="first partition; it holds all earlier history too")
    tables: Tables
    weights: dict[str, Expression] = Field(min_length=1, description="event type to its signed worth, SQL over `value`")
