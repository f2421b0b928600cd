"""Whether a day's release becomes the live one: the one decision that looks at what is live now.

It moves the pointer and nothing else; no table of any day depends on it. A release
older than the live one never replaces it, whatever asks (a backfill, a re-run).
"""

from dataclasses import dataclass

import pyarrow as pa

from ml.config import PipelineConfig
from ml.errors import ReleaseError
from ml.evaluation.gate import judge
from ml.evaluation.harness import evaluate
from ml.evaluation.rankings import Scorer
from ml.evaluation.truth import held_out
from ml.models.popularity import Popularity
from ml.training.candidate import Candidate, TrainingOutcome, TrainingTables, load_evaluated
from ml.training.releases import Release, ReleaseStore
from ml.training.trial import fitted_baseline, realigned

LIVE = "live_release"


@dataclass(frozen=True)
class Promotion:
    """Whether the day's release is live now, and why or why not in a sentence."""

    is_live: bool
    reason: str


def consider(
    candidate: TrainingOutcome, *, decisions: pa.Table, tables: TrainingTables, releases: ReleaseStore, config: PipelineConfig
) -> Promotion:
    """Promote the day's own release if it passed its gate, is not older than the live one and does not lose to it.

    A live release that is torn holds nothing up: it is replaced, and the reason says so.
    """
    row = decisions.to_pylist()[0]
    if not row["has_passed"] or not isinstance(candidate, Candidate):
        return Promotion(False, row["reason"])
    release = releases.get(row["candidate_release_id"])
    refusal, praise = _against_live(candidate, release=release, tables=tables, releases=releases, config=config)
    if refusal:
        return Promotion(False, refusal)
    releases.promote(release.release_id, reason=praise)
    return Promotion(True, praise)


def _against_live(
    candidate: Candidate, *, release: Release, tables: TrainingTables, releases: ReleaseStore, config: PipelineConfig
) -> tuple[str, str]:
    """Why not, or why: one of the two sentences is empty."""
    live_id = releases.current_id()
    if live_id is None:
        return "", "Promoted: it passed the gate, and no release was live."
    if live_id == release.release_id:
        return "", "It is live already."
    if release.release_id in releases.rolled_back():
        return f"Not promoted: {release.release_id} was rolled back from; promote it by hand if that is over.", ""
    try:
        live = releases.get(live_id)
    except ReleaseError as error:
        return "", f"Promoted: it passed the gate, and the live release could not be read ({error})."
    if live.day > release.day:
        return f"Not promoted: {live_id} is live and newer.", ""
    return _measured(candidate, live=live, tables=tables, config=config)


def _measured(candidate: Candidate, *, live: Release, tables: TrainingTables, config: PipelineConfig) -> tuple[str, str]:
    inputs = tables.inputs(config=config, as_of=candidate.split.test_start)
    incumbent = load_evaluated(live.directory)
    if incumbent.as_of > inputs.as_of:
        return "", "Promoted: it passed the gate; the live release knows events of this test and was not compared."
    truth = held_out(tables.interactions, inputs=inputs, start=candidate.split.test_start, end=candidate.split.end)
    ours = candidate.evaluated.model
    models: dict[str, Scorer] = {
        ours.name: ours,
        LIVE: realigned(incumbent, inputs=inputs),
        Popularity.name: fitted_baseline(Popularity(), inputs=inputs, config=config),
    }
    measured = evaluate(models, inputs=inputs, truth=truth, config=config.evaluation)
    found = judge(measured, candidate=ours.name, incumbent=LIVE, config=config.evaluation)
    if found.passed:
        return "", found.reason.replace("Passed", "Promoted", 1)
    return found.reason.replace("Refused", "Not promoted", 1), ""
