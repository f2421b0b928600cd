"""How users, items and visits are called in the sample's files, by position."""


def user_id(position: int) -> str:
    """Id of a user."""
    return f"u{position + 1:05d}"


def item_id(position: int) -> str:
    """Id of an item."""
    return f"i{position + 1:05d}"


def visit_id(position: int) -> str:
    """Id of a visit."""
    return f"v{position + 1:06d}"
