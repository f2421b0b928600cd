"""From a trial to the release that makes a day's outputs: add it, and say in a row what is in force.

In force on a day is its own release if it passed, else that of the full fit it
started from if that passed, else none. Nothing here asks what is live or what was
computed before, so a day made again, in any order, comes out the same. What goes
live is `ml.training.promotion`.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pyarrow as pa

from ml.contracts.outputs import RELEASE_DECISIONS
from ml.training.candidate import FittedModel, load_fitted
from ml.training.releases import Release, ReleaseStore
from ml.training.trial import Trial

# The release id of rows made without any release: scores from interests and popularity alone.
NO_RELEASE = "none"


def decide(
    trial: Trial,
    *,
    day: date,
    candidate: Path,
    releases: ReleaseStore,
    last_full_fit: pa.Table | None,
    made_from: Mapping[str, str],
    card: str,
) -> pa.Table:
    """Make a release of the candidate and return the day's `release_decisions` row.

    `last_full_fit` is that row of the day the candidate started from; None for a full fit.
    """
    release = releases.add(candidate, day=day, made_from=made_from, documents={"model_card.md": card})
    in_force = release.release_id if trial.decision.passed else _own_release(last_full_fit)
    return _row(trial, candidate=release.release_id, day=_day_of(last_full_fit, releases), in_force=in_force)


def undecided(trial: Trial, *, releases: ReleaseStore, last_full_fit: pa.Table | None) -> pa.Table:
    """The `release_decisions` row of a day without a candidate."""
    return _row(trial, candidate=None, day=_day_of(last_full_fit, releases), in_force=_own_release(last_full_fit))


def id_in_force(decisions: pa.Table) -> str:
    """The id of the release in force that a day's `release_decisions` name, `NO_RELEASE` where there is none."""
    return decisions.column("release_id")[0].as_py() or NO_RELEASE


def released_model(decisions: pa.Table, *, releases: ReleaseStore) -> tuple[Release, FittedModel] | None:
    """The release in force that a day's `release_decisions` name, and its model; None where there is none."""
    return model_of(id_in_force(decisions), releases=releases)


def model_of(release_id: str, *, releases: ReleaseStore) -> tuple[Release, FittedModel] | None:
    """A release by its id, and its model; None for `NO_RELEASE`."""
    if release_id == NO_RELEASE:
        return None
    release = releases.get(release_id)
    return release, load_fitted(release.directory)


def _own_release(decisions: pa.Table | None) -> str | None:
    """The release a day made itself and that passed."""
    if decisions is None or not decisions.column("has_passed")[0].as_py():
        return None
    found: str | None = decisions.column("candidate_release_id")[0].as_py()
    return found


def _day_of(decisions: pa.Table | None, releases: ReleaseStore) -> date | None:
    release_id = None if decisions is None else decisions.column("candidate_release_id")[0].as_py()
    return releases.get(release_id).day if release_id else None


def _row(trial: Trial, *, candidate: str | None, day: date | None, in_force: str | None) -> pa.Table:
    row = {
        "candidate_release_id": candidate,
        "has_passed": trial.decision.passed,
        "last_full_fit": day,
        "reason": trial.decision.reason,
        "release_id": in_force,
    }
    return RELEASE_DECISIONS.conform(pa.Table.from_pylist([row], schema=RELEASE_DECISIONS.schema))
