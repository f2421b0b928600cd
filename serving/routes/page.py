"""The page to try the service with: one HTML file that asks the routes beside it."""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter()


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
def page() -> HTMLResponse:
    """The page."""
    content = _content()
    headers = {"content-security-policy": _policy(content), "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
    return HTMLResponse(content, headers=headers)


@cache
def _content() -> str:
    return (Path(__file__).parents[1] / "page.html").read_text(encoding="utf-8")


@cache
def _policy(content: str) -> str:
    """Nothing but the page's own script and style, by their hashes, and questions to this service."""
    script, style = (_hash_of(tag, content) for tag in ("script", "style"))
    return (
        f"default-src 'none'; script-src {script}; style-src {style}; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hash_of(tag: str, content: str) -> str:
    (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", content, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"
