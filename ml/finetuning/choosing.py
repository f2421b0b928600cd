"""Which encoder a day's texts are read with: the profile's own until a fine-tuning has found held-out pairs better.

Fine-tunings are on days that the calendar gives; the days between take the choice of the last one.
"""

from datetime import date
from pathlib import Path

from ml.config import PipelineConfig
from ml.finetuning.choice import EncoderChoice
from ml.finetuning.encoders import model_folder
from ml.finetuning.finetune import Finetuned, K, NotFinetuned, Progress, finetune
from ml.finetuning.pairs import Sources

PROFILES_OWN = EncoderChoice("the profile's own: finetuning.enabled is off")


def fine_tuned_choice(
    sources: Sources, *, day: date, config: PipelineConfig, workshop: Path, progress: Progress | None = None
) -> tuple[EncoderChoice, Finetuned | NotFinetuned]:
    """Fine-tune on what was known on `day` and choose: the new encoder only where it gains. Its model lies in `workshop` then."""
    outcome = finetune(
        sources,
        text=config.text,
        config=config.finetuning,
        evaluation=config.evaluation,
        folder=model_folder(workshop),
        checkpoints=workshop / "checkpoints",
        progress=progress,
    )
    if isinstance(outcome, NotFinetuned):
        return EncoderChoice(f"the profile's own: {outcome.reason}"), outcome
    measured = f"Recall@{K} of held-out pairs {outcome.gain:+.4f} ({outcome.gain_low:+.4f} to {outcome.gain_high:+.4f})"
    if outcome.kinds_lost:
        measured += f", but {', '.join(outcome.kinds_lost)} lost for sure"
    if not outcome.is_better:
        return EncoderChoice(f"the profile's own: fine-tuning does not gain beyond doubt, {measured}", figures=outcome.figures), outcome
    return EncoderChoice(f"fine-tuned: {measured}", fine_tuned_on=day, revision=outcome.revision, figures=outcome.figures), outcome
