"""What makes two vectors comparable: the embedding space, as a value with an id.

Everything that changes the numbers belongs in here (TRAPS 2.15); checking ids
against each other is `ml.contracts.spaces`.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass

# Raised when the same settings come to give other bits. 2: batches of fixed shape. 3: cleaned texts, in packs and windows.
ENCODING_VERSION = 3


@dataclass(frozen=True)
class EmbeddingSpace:
    """A model and how its token vectors become one vector of `dimension` numbers.

    `dtype` is the number type of the weights, as used and not as asked for: it is
    part of the space, so vectors from a machine with bfloat16 units and from one
    without (cosine 0.9999 to each other) are kept apart instead of quietly mixed. So are, by `encoding`, vectors of an older way to compute
    the same thing: a cache holds one text's vector as one sequence of bits. Documents and queries of a model that
    wants a prompt before each lie in one space: they are meant to be compared.
    """

    model: str
    revision: str
    pooling: str
    normalised: bool
    dimension: int
    max_tokens: int
    dtype: str
    max_windows: int = 1
    prompt: str = ""
    query_prompt: str = ""
    projection: str = ""
    encoding: int = ENCODING_VERSION

    @property
    def space_id(self) -> str:
        """A name for people and folders, made unique by the sha256 of every field."""
        digest = hashlib.sha256(self.to_json().encode()).hexdigest()
        readable = re.sub(r"[^a-z0-9]+", "-", self.model.lower()).strip("-")[-48:].strip("-")
        parts = [readable, self.pooling, str(self.dimension), self.dtype, digest[:12]]
        return "-".join(part for part in parts if part)

    def to_json(self) -> str:
        """Every field, in one canonical form."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)
