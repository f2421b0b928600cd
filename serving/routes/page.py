"""The page to try the service with: one HTML file that asks the routes beside it."""

from functools import cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

router = APIRouter()

# Nothing but the page's own script and style, and questions to this service.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"  # noqa: E501


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
def page() -> HTMLResponse:
    """The page."""
    return HTMLResponse(_content(), headers={"content-security-policy": POLICY, "x-content-type-options": "nosniff"})


@cache
def _content() -> str:
    return (Path(__file__).parents[1] / "page.html").read_text(encoding="utf-8")
