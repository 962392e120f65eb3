"""The intake's pages: plain HTML without scripts, pictures, cookies or anything from elsewhere; or the same as JSON.

What a stranger typed is escaped where it is shown, and shown to him alone.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

from licd.core.time import SECOND, Instant
from licd.server.intake.form import FILING, MESSAGE_CHARACTERS
from licd.server.intake.http import Answer

HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"
STYLE: Final = (
    "body{font:1rem/1.5 sans-serif;max-width:42rem;margin:2rem auto;padding:0 1rem}"
    "label{display:block;margin-top:1rem;font-weight:bold}"
    "input,textarea{width:100%;box-sizing:border-box;font:inherit;padding:.3rem}"
    "button{margin-top:1rem;font:inherit;padding:.4rem 1rem}"
    ".code{font:1.3rem monospace;border:2px solid;padding:.5rem;overflow-wrap:anywhere}"
    ".problem{border-left:.4rem solid #a00;padding-left:.6rem}"
    "blockquote{white-space:pre-wrap;border-left:.2rem solid #888;margin-left:0;padding-left:.8rem}"
)
_STYLE_HASH: Final = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
HEADERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "content-security-policy": (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'"
        ),
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }
)
ROWS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "account": ("What happened", "As you saw or heard it. You need not know everything."),
        "about": ("Who, as far as you know", "A person, an office, a country. Optional."),
        "period": ("When", "Optional."),
        "number": ("A telephone number it is about", "With + and the country's code. Optional."),
        "name": ("Your name", "Optional. Kept apart from what you report, and sealed."),
        "contact": ("How to reach you", "Optional. You can be written to without it, by your tracking code."),
    }
)
_LONG: Final = ("account",)
_INTRODUCTION: Final = (
    "<p>You need not say who you are. What you write is sealed to the head of compliance as soon as it arrives. "
    "Whatever and whoever you write about, you get the same answers after the same time. "
    "Use a connection that does not give you away, if you need to.</p>"
)
_NEITHER: Final = "We neither confirm nor deny whether any person or authority is or was a customer."


@dataclass(frozen=True, slots=True)
class Shown:
    """A message as its reader sees it."""

    mine: bool
    text: str
    written_at: Instant


@dataclass(frozen=True, slots=True)
class Standing:
    """What somebody who comes back is told. answer is empty until the time at which answers show."""

    filed_at: Instant
    acknowledge_by: Instant
    acknowledged: bool
    answer_by: Instant
    answer: str
    messages: Sequence[Shown]


def day(at: Instant) -> str:
    """The day, in UTC: nobody needs to know closer."""
    return datetime.fromtimestamp(at / SECOND, UTC).strftime("%Y-%m-%d")


def page(title: str, parts: Iterable[str], status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """One page."""
    body = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><h1>{escape(title)}</h1>\n" + "\n".join(parts) + "\n</body></html>\n"
    )
    return Answer(status, HTML, body.encode(), HEADERS)


def json_answer(values: Mapping[str, object], status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """One object."""
    body = json.dumps(values, ensure_ascii=False, separators=(",", ":")) + "\n"
    return Answer(status, JSON, body.encode(), HEADERS)


def first_page(
    problem: str = "", values: Mapping[str, str] = MappingProxyType({}), status: HTTPStatus = HTTPStatus.OK
) -> Answer:
    """Both forms; after a problem with what was typed."""
    told = [f'<p class="problem" role="alert">{escape(problem)}</p>'] if problem else []
    rows = [_row(name, label, hint, values.get(name, "")) for name, (label, hint) in ROWS.items()]
    return page(
        "Report misuse",
        [
            *told,
            _INTRODUCTION,
            '<form method="post" action="/allegations" autocomplete="off">',
            *rows,
            '<button type="submit">Report</button></form>',
            "<h2>Come back</h2>",
            '<form method="post" action="/allegation" autocomplete="off">',
            _row("code", "Your tracking code", "", ""),
            '<button type="submit">Look</button></form>',
        ],
        status,
    )


def _row(name: str, label: str, hint: str, value: str) -> str:
    most = FILING.get(name, 60)
    head = f'<label for="{name}">{escape(label)}</label><small>{escape(hint)}</small>'
    if name in _LONG:
        named = f'id="{name}" name="{name}" rows="10" maxlength="{most}" required'
        return f"{head}<textarea {named}>{escape(value)}</textarea>"
    return f'{head}<input id="{name}" name="{name}" maxlength="{most}" value="{escape(value)}">'


def filed_page(code: str, acknowledge_by: Instant, answer_by: Instant) -> Answer:
    """The same for everybody but the code and the days."""
    return page(
        "Received",
        [
            "<p>This is your tracking code. It is shown once, and nobody can find it again for you:</p>",
            f'<p class="code">{escape(code)}</p>',
            f"<p>We acknowledge what you reported by {day(acknowledge_by)} and answer by {day(answer_by)}.</p>",
            f"<p>{_NEITHER}</p>",
        ],
        HTTPStatus.CREATED,
    )


def standing_page(code: str, standing: Standing, problem: str = "") -> Answer:
    """What there is for who comes back, and a form to write again."""
    state = "It was acknowledged." if standing.acknowledged else f"We acknowledge it by {day(standing.acknowledge_by)}."
    answer = (
        f"<blockquote>{escape(standing.answer)}</blockquote>"
        if standing.answer
        else f"<p>There is no answer yet. We answer by {day(standing.answer_by)}.</p>"
    )
    messages = [
        f"<h3>{'You' if each.mine else 'We'} wrote, {day(each.written_at)}</h3>"
        f"<blockquote>{escape(each.text)}</blockquote>"
        for each in standing.messages
    ]
    return page(
        "What you reported",
        [
            *([f'<p class="problem" role="alert">{escape(problem)}</p>'] if problem else []),
            f"<p>You reported on {day(standing.filed_at)}. {state}</p>",
            "<h2>Answer</h2>",
            answer,
            "<h2>Messages</h2>",
            *messages,
            '<form method="post" action="/allegation" autocomplete="off">',
            f'<input type="hidden" name="code" value="{escape(code)}">',
            '<label for="message">Write</label>',
            f'<textarea id="message" name="message" rows="6" maxlength="{MESSAGE_CHARACTERS}" required></textarea>',
            '<button type="submit">Send</button></form>',
        ],
    )


def standing_json(standing: Standing) -> Mapping[str, object]:
    """The same, for programs."""
    return {
        "filed": day(standing.filed_at),
        "acknowledged": standing.acknowledged,
        "acknowledge_by": day(standing.acknowledge_by),
        "answer_by": day(standing.answer_by),
        "answer": standing.answer,
        "messages": [
            {"from": "you" if each.mine else "us", "written": day(each.written_at), "text": each.text}
            for each in standing.messages
        ],
    }


def refusal(status: HTTPStatus) -> Answer:
    """Words for what is not looked at: the same for everybody."""
    words = {
        HTTPStatus.NOT_FOUND: "There is no such page, or no such tracking code.",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "That is too long. Write what matters most; you can write again.",
        HTTPStatus.TOO_MANY_REQUESTS: "Too many are writing at this moment. Nothing was kept; try again in a minute.",
        HTTPStatus.SERVICE_UNAVAILABLE: "Nothing was kept; try again later.",
        HTTPStatus.INTERNAL_SERVER_ERROR: "Nothing can be said about what became of it; try again later.",
    }
    return page(status.phrase, [f"<p>{escape(words.get(status, status.description))}</p>"], status)
