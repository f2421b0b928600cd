"""Settings of triples by a language model: `extractor` in a profile."""

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from ml.config.sections.section import Section


class ExtractorConfig(Section):
    """Triples from texts by a language model behind an OpenAI-compatible endpoint; the key is INTEREST_GRAPH_LLM_KEY."""

    url: str | None = Field(None, description="address of the API up to /v1; none: off")
    model: str = Field("", description="the model's name, as the endpoint calls it")
    max_requests: PositiveInt = Field(1000, description="requests of one run, retries included")
    max_tokens: PositiveInt = Field(1_000_000, description="tokens of one run, read and written, as the endpoint counts them")
    max_answer_tokens: PositiveInt = Field(800, description="tokens of one answer")
    max_text_characters: PositiveInt = Field(4000, description="characters of a text that are sent")
    max_triples: PositiveInt = Field(20, description="triples taken from one text")
    num_tries: PositiveInt = Field(4, description="tries of one request; waits double from one to the next")
    first_wait_seconds: NonNegativeFloat = Field(1.0, description="wait before the second try, in seconds")
    timeout_seconds: PositiveFloat = Field(60.0, description="longest wait for an answer, in seconds")
