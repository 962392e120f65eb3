"""A page of headings, pairs and tables, written once, shown as text, as Markdown, or as HTML that needs nothing else.

The HTML has no script and asks for no other file: it can be mailed, printed, and opened in ten years.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from licd.cli.layout import pair_lines, table_lines
from licd.cli.printing import Pairs, clean


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    pairs: Pairs


@dataclass(frozen=True, slots=True)
class Grid:
    """A table. marked: the rows that weigh, by number; they stand out."""

    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Steps:
    """Places in a row, the present one named: a ladder of categories."""

    places: Sequence[str]
    present: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, some sentences, and what stands below them."""

    title: str
    sentences: Sequence[str] = ()
    body: Facts | Grid | Steps | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """The whole page. foot stands below everything, small."""

    title: str
    lead: str
    sections: Sequence[Section]
    foot: str


def as_text(page: Document, width: int | None) -> list[str]:
    """Lines for a terminal."""
    lines = [clean(page.title), clean(page.lead)]
    for section in page.sections:
        lines += ["", clean(section.title).upper()]
        lines += [clean(sentence) for sentence in section.sentences]
        match section.body:
            case Facts(pairs):
                lines += pair_lines([(clean(name), clean(value)) for name, value in pairs], width)
            case Grid(headers, rows):
                lines += table_lines(headers, [[clean(cell) for cell in row] for row in rows], width)
            case Steps(places, present):
                lines.append("  ".join(f"[{place}]" if place == present else place for place in map(clean, places)))
            case None:
                pass
    return [*lines, "", clean(page.foot)]


def as_markdown(page: Document) -> str:
    """Markdown whose text nobody who is quoted in it can turn into more than text."""
    parts = [f"# {_mark(page.title)}", _mark(page.lead)]
    for section in page.sections:
        parts.append(f"## {_mark(section.title)}")
        parts += [_mark(sentence) for sentence in section.sentences]
        match section.body:
            case Facts(pairs):
                parts.append("\n".join(f"- {_mark(name)}: {_mark(value)}" for name, value in pairs))
            case Grid(headers, rows, marked):
                table = [list(map(_mark, headers)), ["---"] * len(headers)]
                table += [[_bold(cell) if at in marked else _mark(cell) for cell in row] for at, row in enumerate(rows)]
                parts.append("\n".join(f"| {' | '.join(row)} |" for row in table))
            case Steps(places, present):
                shown = (f"**{_mark(place)}**" if place == present else _mark(place) for place in places)
                parts.append(" → ".join(shown))
            case None:
                pass
    return "\n\n".join([*parts, f"*{_mark(page.foot)}*"]) + "\n"


def as_html(page: Document) -> str:
    """One file with its style inside."""
    body = [f"<h1>{_html(page.title)}</h1>", f'<p class="lead">{_html(page.lead)}</p>']
    for section in page.sections:
        body.append(f"<section><h2>{_html(section.title)}</h2>")
        body += [f"<p>{_html(sentence)}</p>" for sentence in section.sentences]
        body += [_body_html(section.body), "</section>"]
    body.append(f"<footer>{_html(page.foot)}</footer>")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{_html(page.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(filter(None, body))
        + "\n</main>\n</body>\n</html>\n"
    )


def _body_html(body: Facts | Grid | Steps | None) -> str:
    match body:
        case Facts(pairs):
            return "<dl>" + "".join(f"<dt>{_html(name)}</dt><dd>{_html(value)}</dd>" for name, value in pairs) + "</dl>"
        case Grid(headers, rows, marked):
            head = "".join(f'<th scope="col">{_html(header)}</th>' for header in headers)
            lines = "".join(_row_html(row, " class=weighs" if at in marked else "") for at, row in enumerate(rows))
            return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table></div>'
        case Steps(places, present):
            marks = "".join(_place_html(place, present) for place in places)
            return f'<ol class="ladder">{marks}</ol>'
        case None:
            return ""


def _row_html(row: Sequence[str], attribute: str) -> str:
    return f"<tr{attribute}>{''.join(f'<td>{_html(cell)}</td>' for cell in row)}</tr>"


def _place_html(place: str, present: str) -> str:
    attributes = ' class="present" aria-current="true"' if place == present else ""
    return f"<li{attributes}>{_html(place)}</li>"


def _html(text: str) -> str:
    return escape(clean(text))


def _bold(text: str) -> str:
    return f"**{_mark(text)}**" if text.strip() else ""


def _mark(text: str) -> str:
    """Text that Markdown takes as it stands."""
    return "".join(f"\\{one}" if one in "\\`*_{}[]<>#+!|&~" else one for one in clean(text))


_STYLE: Final = (
    ":root{color-scheme:light dark;--ink:#1c2430;--faint:#5c6675;--line:#d5dae2;--mark:#8a2b12;--tint:#fbf1ec;"
    "--page:#fff}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--faint:#9aa4b2;--line:#39424f;--mark:#ffb59b;"
    "--tint:#3a2a24;--page:#161b22}}"
    "body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif}"
    "main{max-width:60rem;margin:0 auto;padding:2rem 1.25rem 4rem}"
    "h1{font-size:1.75rem;line-height:1.2;margin:0 0 .5rem}h2{font-size:1.05rem;margin:2.25rem 0 .5rem}"
    ".lead{font-size:1.1rem;margin:0}p{margin:.35rem 0}"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.5rem;margin:0}"
    "dt{color:var(--faint)}dd{margin:0;overflow-wrap:anywhere}"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.925rem}"
    "th,td{text-align:left;vertical-align:top;padding:.4rem .75rem .4rem 0;border-bottom:1px solid var(--line)}"
    "th{color:var(--faint);font-weight:600;white-space:nowrap}tr.weighs td{background:var(--tint);color:var(--mark)}"
    ".ladder{list-style:none;display:flex;flex-wrap:wrap;gap:.4rem;padding:0;margin:.25rem 0}"
    ".ladder li{border:1px solid var(--line);border-radius:1rem;padding:.15rem .8rem;color:var(--faint)}"
    ".ladder .present{border-color:var(--mark);background:var(--tint);color:var(--mark);font-weight:600}"
    "footer{margin-top:3rem;color:var(--faint);font-size:.85rem;overflow-wrap:anywhere}"
    "@media(max-width:34rem){dl{grid-template-columns:1fr}dt{margin-top:.5rem}}"
    "@media print{body{font-size:11pt}main{padding:0}section{break-inside:avoid}}"
)
