"""Which encoder a day's texts are read with, as a file: the profile's own, or one fine-tuned on an earlier day.

Starts without torch. Making the choice is `ml.finetuning.choosing`.
"""

import json
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from ml.contracts.files import write_text
from ml.errors import ConfigError

_CHOICE = "encoder.json"


@dataclass(frozen=True)
class KindFigures:
    """Recall@10 of held-out pairs of one kind, before and after, and among how many documents they were looked for.

    The last three are of the pairs whose document, word by word, is of no training pair either: categories and tags often are.
    """

    kind: str
    num_training_pairs: int
    num_held_out: int
    num_documents: int
    recall_before: float
    recall_after: float
    num_new_documents: int
    recall_before_new: float | None
    recall_after_new: float | None


@dataclass(frozen=True)
class EncoderChoice:
    """What reads a day's texts, and why in a sentence.

    `fine_tuned_on` is the day of the model's folder, None for the profile's own; `revision` stands for its bytes.
    `figures` are there on the day of a fine-tuning alone, whatever it came to.
    """

    reason: str
    fine_tuned_on: date | None = None
    revision: str = ""
    figures: tuple[KindFigures, ...] = ()

    def without_figures(self) -> "EncoderChoice":
        """The same choice for a later day, which measured nothing."""
        return replace(self, figures=())

    def write(self, folder: Path) -> None:
        """Write it; equal choices give equal bytes."""
        content = asdict(self) | {"fine_tuned_on": self.fine_tuned_on.isoformat() if self.fine_tuned_on else None}
        write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", folder / _CHOICE)


def read_choice(folder: Path) -> EncoderChoice:
    """What `EncoderChoice.write` wrote; raises `ConfigError` for a file that is none."""
    try:
        content: dict[str, Any] = json.loads((folder / _CHOICE).read_text(encoding="utf-8"))
        fine_tuned_on = content["fine_tuned_on"]
        return EncoderChoice(
            reason=content["reason"],
            fine_tuned_on=date.fromisoformat(fine_tuned_on) if fine_tuned_on else None,
            revision=content["revision"],
            figures=tuple(KindFigures(**figures) for figures in content["figures"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder / _CHOICE} says of no encoder ({error}); delete the folder and make its day again") from error
