"""Going back to an earlier release: what is live and what is online move together, in seconds, while both are read.

Nothing is computed: the release and a generation of its features are kept. The next publish
is of a day at least as new as the one then online, whose release is the live one.
"""

from dataclasses import dataclass

from feature_repo.generations import Generation, GenerationStore
from ml.training.releases import Release
from orchestration.scope import Scope


@dataclass(frozen=True)
class RolledBack:
    """What is live now; `generation` is None where nothing was ever put online."""

    release: Release
    generation: Generation | None


def roll_back(scope: Scope, release_id: str | None) -> RolledBack:
    """Make a release that was live before, the last one by default, and the newest kept generation of its features live.

    Raises `ReleaseError` or `PublishError`, and moves nothing, where the release was never live or is torn, none of its
    generations is kept, or a publish is running. Killed between the two moves, the same command completes them.
    """
    generations = GenerationStore(scope.home)
    if generations.live_id() is None:
        return RolledBack(scope.releases.rollback(release_id), None)
    with generations.alone():
        release = scope.releases.before(release_id)
        generation = generations.newest_of(release.release_id)
        # First what is online: killed after it, the release to go back to is still the same one.
        generations.point_at(generation)
        return RolledBack(scope.releases.rollback(release.release_id), generation)
