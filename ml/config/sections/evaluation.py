"""Settings of the time split, the figures and the gate: `evaluation` in a profile."""

from pydantic import Field, NonNegativeFloat, PositiveInt

from ml.config.sections.section import Section


class EvaluationConfig(Section):
    """Measuring on a global time split."""

    test_share: float = Field(0.1, gt=0, lt=0.5, description="share of newest positive interactions held out as the test")
    validation_share: float = Field(0.1, gt=0, lt=0.5, description="share before those for early stopping and choices")
    cutoffs: tuple[PositiveInt, ...] = Field((5, 10, 20), description="list lengths")
    cold_user_interactions: PositiveInt = Field(5, description="users with fewer training positives are cold")
    max_test_users: PositiveInt = Field(20_000, description="test users evaluated, sampled by seed above this")
    num_bootstrap: PositiveInt = Field(1000, description="bootstrap resamples of users")
    confidence: float = Field(0.95, gt=0, lt=1, description="coverage of the intervals")
    gate_metric: str = Field("ndcg@10", description="metric the gate compares")
    gate_min_users: PositiveInt = Field(20, description="test users below which the gate judges nothing and promotes nothing")
    gate_margin: NonNegativeFloat = Field(0.02, description="relative loss to the live release that is still accepted")
    seed: int = Field(7, description="seed of sampling and bootstrap")
