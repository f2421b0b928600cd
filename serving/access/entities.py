"""How many entities one feature look-up may ask for."""

import json

from serving.access.guard import BodyCheck
from serving.problems import Problem


def entity_limit(max_entities: int) -> BodyCheck:
    """A check of the body of Feast's `/get-online-features`; what is no such body is left for Feast to refuse."""

    def check(body: bytes) -> Problem | None:
        try:
            entities = json.loads(body).get("entities")
            asked = max((len(ids) for ids in entities.values() if isinstance(ids, list)), default=0)
        except (ValueError, AttributeError, RecursionError):
            return None
        if asked <= max_entities:
            return None
        detail = f"{asked} entities were asked for, one request may ask for {max_entities} (serving.max_entities); ask in several"
        return Problem(422, "too-many-entities", detail)

    return check
