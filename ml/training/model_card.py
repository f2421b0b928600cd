"""A release's model card: what it was trained on, how it did, what it cannot do.

After Mitchell et al., "Model Cards for Model Reporting" (FAT* 2019).
"""

import pyarrow.compute as pc

from ml.config import PipelineConfig
from ml.training.candidate import Candidate
from ml.training.trial import Trial


def model_card(candidate: Candidate, *, trial: Trial, config: PipelineConfig, dataset: str) -> str:
    """The card as Markdown."""
    released, split = candidate.released, candidate.split
    metrics = trial.evaluation.filter(pc.equal(trial.evaluation.column("segment"), "all")).to_pylist()
    figures = {(row["model"], row["metric"]): row["value"] for row in metrics}
    shown = ("ndcg@10", "recall@20", "hit_rate@10", "coverage@10")
    rows = [
        f"| {model} | " + " | ".join(f"{figures[model, metric]:.4f}" for metric in shown) + " |"
        for model in dict.fromkeys(row["model"] for row in metrics)
    ]
    return "\n".join(
        [
            f"# {released.model.name} on {dataset}, as of {released.as_of.isoformat()}",
            "",
            f"Trained on {int(released.num_likes_U.sum()):,} likes of {len(released.users):,} users; {len(released.items):,} items known.",
            f"Measured on likes from {split.test_start.isoformat()} on, by a model that knew only what came before; tuned on likes from",
            f"{split.validation_start.isoformat()} on. Full ranking, items already met left out.",
            "",
            f"| model | {' | '.join(shown)} |",
            "|---|" + "---|" * len(shown),
            *rows,
            "",
            f"Gate: {trial.decision.reason}",
            "",
            "## Limits",
            "",
            "Users without a like are answered by their interests or by popularity. Scores are comparable within a user only. Items",
            "nobody has met are placed by their text, interests and knowledge alone.",
            "",
            "## Settings",
            "",
            "```json",
            config.model_dump_json(indent=2, include={"model", "hybrid", "graph", "interests", "evaluation"}),
            "```",
            "",
        ]
    )
