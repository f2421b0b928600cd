"""Settings of drift and guards: `monitoring` in a profile."""

from pydantic import Field, PositiveFloat, PositiveInt

from ml.config.sections.section import Section


class MonitoringConfig(Section):
    """Watching drift."""

    current_days: PositiveInt = Field(7, description="days of the current window")
    reference_days: PositiveInt = Field(28, description="days of the reference window just before it")
    max_sample: PositiveInt = Field(5000, description="rows compared per `current_days` of a window, sampled by seed")
    min_rows: PositiveInt = Field(50, description="rows a window needs before a column is compared")
    min_drift_score: PositiveFloat = Field(0.1, description="distance below which nothing counts as drift")
    noise_factor: PositiveFloat = Field(1.5, description="times the largest distance among the reference's own weeks that is still noise")
    max_drifted_share: float = Field(0.5, gt=0, le=1, description="share of a group's columns drifted at which the check fails")
    volume_days: PositiveInt = Field(28, description="days before that a day's rows and nulls are held against")
    min_volume_days: PositiveInt = Field(7, description="days before that are needed to say anything")
    min_volume_rows: PositiveInt = Field(50, description="usual rows a day below which a count says nothing")
    unusual_volume_factor: PositiveFloat = Field(3.0, description="times more or fewer rows than usual that is worth a look")
    max_volume_factor: PositiveFloat = Field(10.0, description="times more or fewer rows than usual that stops the run")
    unusual_null_rise: PositiveFloat = Field(0.2, description="rise of a column's share of nulls that is worth a look")
    max_null_rise: PositiveFloat = Field(0.5, description="rise of a column's share of nulls that stops the run")
    unusual_unknown_events: float = Field(0.001, ge=0, le=1, description="share of events of unknown type that is worth a look")
    max_unknown_events: float = Field(0.05, gt=0, le=1, description="share of events of unknown type that stops the run")
    seed: int = Field(7, description="seed of sampling")
