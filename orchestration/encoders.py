"""The encoder of a day, with the dataset's cache of its space; a process loads its weights once, however many days it embeds."""

from datetime import date
from functools import lru_cache
from pathlib import Path

from ml.config.pipeline import TextConfig
from ml.errors import ConfigError
from ml.finetuning.choice import EncoderChoice
from ml.text.cache import EmbeddingCache
from ml.text.encoder import Encoder, load_encoder
from orchestration.scope import Scope


def open_encoder(scope: Scope, choice: EncoderChoice) -> tuple[Encoder, EmbeddingCache]:
    """The chosen encoder and the cache of its space; raises `ConfigError` where its model is not the one that was chosen."""
    text = scope.encoders.text_config(choice, profile=scope.config.text)
    if choice.fine_tuned_on and not Path(text.model).is_dir():
        raise _gone(choice)
    encoder = _loaded(text, choice.revision or scope.model_content)
    if choice.fine_tuned_on and encoder.space.revision != choice.revision:
        raise _gone(choice)
    return encoder, EmbeddingCache(scope.home.embedding_cache, space=encoder.space)


def encoder_of_day(scope: Scope, day: date) -> Encoder:
    """What read the texts of a day."""
    return open_encoder(scope, scope.encoders.read(day))[0]


# A backfill meets two at a time: the profile's own or the last fine-tuned one, and the next.
@lru_cache(maxsize=2)
def _loaded(config: TextConfig, content: str) -> Encoder:  # noqa: ARG001  another model may have come to the same place
    return load_encoder(config)


def _gone(choice: EncoderChoice) -> ConfigError:
    return ConfigError(
        f"the model that read this day's texts, fine-tuned on {choice.fine_tuned_on}, is no longer there: it was deleted, or that day was "
        "made again with other settings; make the day you asked about again"
    )
