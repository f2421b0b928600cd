"""What reads texts: the profile's encoder, or one fine-tuned to the catalogue where that finds texts better."""

from collections.abc import Callable

import dagster as dg
import pyarrow as pa

from ml.finetuning.choice import EncoderChoice
from ml.finetuning.choosing import PROFILES_OWN, fine_tuned_choice
from ml.finetuning.encoders import NAME as ENCODER
from ml.finetuning.finetune import Finetuned, NotFinetuned
from ml.finetuning.pairs import Sources
from orchestration.metadata import line_plot, markdown_table, png
from orchestration.scope import Scope
from orchestration.table_assets import DayRun, Made, day_assets

GROUP = "text"
KINDS = {"python", "torch"}
Reader = Callable[[], pa.Table]


def encoder_assets(scope: Scope) -> list[dg.AssetsDefinition]:
    """The choice of each day's encoder; behind it stands the choice of the last day of a fine-tuning."""
    config = scope.config
    behind = (config.text, scope.model_content, config.evaluation) if config.finetuning.enabled else ()

    @day_assets(
        scope,
        ENCODER,
        group=GROUP,
        kinds=KINDS,
        settings=(config.finetuning, *behind),
        description="Which encoder reads the day's texts: the profile's own, or one fine-tuned on pairs of texts known before every test.",
        stands_on={ENCODER: scope.artefact(ENCODER)} if config.finetuning.enabled else None,
        base=scope.last_fine_tuning if config.finetuning.enabled else None,
        needed_by_full_fits=True,
        reads_on_demand=True,
    )
    def encoder(run: DayRun, items: Reader, interactions: Reader, user_texts: Reader) -> Made:
        if not config.finetuning.enabled:
            return Made(PROFILES_OWN)
        base = scope.last_fine_tuning(run.day)
        if base:
            return Made(scope.encoders.read(base).without_figures())
        choice, outcome = fine_tuned_choice(
            Sources(items(), interactions(), user_texts()),
            day=run.day,
            config=config,
            workshop=scope.encoders.workshop(run.day),
            progress=run.progress("passes over pairs"),
        )
        return Made(choice, fine_tuning_metadata(choice, outcome))

    return [encoder]


def fine_tuning_metadata(choice: EncoderChoice, outcome: Finetuned | NotFinetuned) -> dict[str, dg.MetadataValue | str | int | float]:
    """What was chosen and why; how training went, what the tokenizer could not read, and what held-out pairs say."""
    if isinstance(outcome, NotFinetuned):
        return {"chosen": choice.reason}
    series = {"loss": [epoch.loss for epoch in outcome.history]}
    validation = [epoch.validation for epoch in outcome.history if epoch.validation is not None]
    if validation:
        series["mean reciprocal rank"] = validation
    return {
        "chosen": choice.reason,
        "held-out pairs": dg.MetadataValue.md(markdown_table(pa.Table.from_pylist([vars(figures) for figures in outcome.figures]))),
        "training curve": png(line_plot(series, x_label="epoch")),
        "share of characters the tokenizer loses": outcome.unread_before,
        "share it loses with new tokens": outcome.unread_after,
        "new tokens": outcome.num_new_tokens,
    }
