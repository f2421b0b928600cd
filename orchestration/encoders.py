"""The encoder of a day, with the dataset's cache of its space; a process loads its weights once, however many days it embeds."""

from datetime import date
from functools import lru_cache

from ml.config.pipeline import TextConfig
from ml.errors import ConfigError
from ml.finetuning.choice import EncoderChoice
from ml.text.cache import EmbeddingCache
from ml.text.encoder import Encoder, load_encoder
from orchestration.scope import Scope


def open_encoder(scope: Scope, choice: EncoderChoice) -> tuple[Encoder, EmbeddingCache]:
    """The chosen encoder and the cache of its space; raises `ConfigError` where its model is not the one that was chosen."""
    encoder = _loaded(scope.encoders.text_config(choice, profile=scope.config.text), choice.revision)
    return encoder, EmbeddingCache(scope.home.embedding_cache, space=encoder.space)


def encoder_of_day(scope: Scope, day: date) -> Encoder:
    """What read the texts of a day."""
    return open_encoder(scope, scope.encoders.read(day))[0]


# A backfill meets two at a time: the profile's own or the last fine-tuned one, and the next.
@lru_cache(maxsize=2)
def _loaded(config: TextConfig, revision: str) -> Encoder:
    encoder = load_encoder(config)
    if revision and encoder.space.revision != revision:
        raise ConfigError(f"{config.model} is {encoder.space.revision}, but {revision} was chosen; make the day of the fine-tuning again")
    return encoder
