"""Settings of adapting the encoder to the catalogue: `finetuning` in a profile."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from ml.config.sections.section import Section


class FinetuningConfig(Section):
    """Adapting the encoder to the catalogue."""

    enabled: bool = Field(False, description="fine-tune the encoder; what it was fine-tuned to is used only where it finds texts better")
    every_full_fits: PositiveInt = Field(4, description="full fits of the model between two fine-tunings")
    pair_kinds: tuple[Literal["title_text", "title_tags", "sentence_text", "search_item", "basket"], ...] = Field(
        ("title_text", "title_tags", "search_item", "basket"),
        min_length=1,
        description="what is paired: title and description; title, and category and tags; a sentence and the rest of its description "
        "(`sentence_text`, for a language the encoder must learn to read); search and item; items liked in a row",
    )
    max_pairs: PositiveInt = Field(5000, description="pairs of a kind, the newest; what a fine-tuning costs grows with them")
    min_pairs: PositiveInt = Field(200, description="training pairs below which the encoder stays as it is")
    held_out_share: float = Field(
        0.1, gt=0, lt=0.5, description="share of items held out to stop early, and again to decide; no pair with them is trained on"
    )
    max_held_out_pairs: PositiveInt = Field(1000, description="held-out pairs of a kind that are measured, drawn by seed")
    min_held_out_pairs: PositiveInt = Field(20, description="held-out pairs below which a kind is not measured")
    max_documents: PositiveInt = Field(5000, description="documents of a kind among which a held-out one is looked for, at the end")
    epochs: PositiveInt = Field(4, description="passes over the pairs at most")
    patience: PositiveInt = Field(1, description="passes without gain on the first held-out items before stopping")
    batch_size: int = Field(64, ge=2, description="pairs of a step, all of one kind; each text is told from all others of it")
    batch_tokens: int = Field(8192, ge=64, description="tokens computed at once; a larger batch is computed twice instead")
    max_tokens: int = Field(64, ge=8, description="tokens of a text that are trained on; the rest is left out")
    learning_rate: PositiveFloat = Field(5e-5, description="AdamW step size, reached after a tenth of the steps, then falling to 0")
    new_token_learning_rate: PositiveFloat = Field(1e-3, description="the same for token vectors, where tokens are new")
    regularization: NonNegativeFloat = Field(0.01, description="AdamW weight decay")
    temperature: PositiveFloat = Field(0.05, description="softmax temperature of the contrastive loss")
    max_new_tokens: int = Field(8000, ge=0, description="tokens added for what the tokenizer cannot read; 0: none")
    min_token_texts: PositiveInt = Field(3, description="training texts in which a piece is lost before it becomes a token")
    seed: int = Field(7, description="seed of order, new token vectors and what is drawn")
