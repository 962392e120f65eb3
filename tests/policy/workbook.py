"""Spreadsheets made by a test, in the publishers' forms and with their quirks; the figures are made up."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

Cell = str | int | float
Rows = Sequence[Sequence[Cell]]

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
SHEET = "worksheet"
OF_SHEET = f"{RELS}/{SHEET}"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "application/vnd.openxmlformats-officedocument.spreadsheetml"

WGI_HEADING = (
    "codeindyr",
    "code",
    "countryname",
    "year",
    "indicator",
    "estimate",
    "stddev",
    "nsource",
    "pctrank",
    "pctranklower",
    "pctrankupper",
)
DIMENSIONS = ("cc", "ge", "pv", "rl", "rq", "va")


def workbook(sheets: Mapping[str, Rows]) -> bytes:
    """An .xlsx file of these sheets: the same bytes for the same sheets."""
    names = list(sheets)
    numbered = list(enumerate(names, start=1))
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{OFFICE}.sheet.main+xml"/>'
        + "".join(
            f'<Override PartName="/xl/worksheets/sheet{at}.xml" ContentType="{OFFICE}.worksheet+xml"/>'
            for at, _ in numbered
        )
        + "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{RELS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": _element(
            "workbook",
            f'xmlns="{MAIN}" xmlns:r="{RELS}"',
            "<sheets>"
            + "".join(f'<sheet name="{escape(name)}" sheetId="{at}" r:id="rId{at}"/>' for at, name in numbered)
            + "</sheets>",
        ),
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
        + "".join(
            f'<Relationship Id="rId{at}" Type="{OF_SHEET}" Target="worksheets/sheet{at}.xml"/>' for at, _ in numbered
        )
        + "</Relationships>",
    }
    parts |= {f"xl/worksheets/sheet{at}.xml": _sheet(sheets[name]) for at, name in numbered}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in parts.items():
            archive.writestr(zipfile.ZipInfo(path), '<?xml version="1.0" encoding="UTF-8"?>\n' + text)
    return made.getvalue()


def _sheet(rows: Rows) -> str:
    lines = []
    for at, row in enumerate(rows, start=1):
        cells = "".join(_cell(value, f"{_letters(place)}{at}") for place, value in enumerate(row) if value != "")
        lines.append(f'<row r="{at}">{cells}</row>')
    return _element(SHEET, f'xmlns="{MAIN}"', f"<sheetData>{''.join(lines)}</sheetData>")


def _element(name: str, attributes: str, content: str) -> str:
    return f"<{name} {attributes}>{content}</{name}>"


def _cell(value: Cell, at: str) -> str:
    if isinstance(value, str):
        return f'<c r="{at}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
    return f'<c r="{at}"><v>{value!r}</v></c>'


def _letters(place: int) -> str:
    return chr(ord("A") + place) if place < 26 else chr(ord("A") + place // 26 - 1) + chr(ord("A") + place % 26)


def wgi_row(code: str, name: str, year: int, dimension: str, estimate: Cell) -> list[Cell]:
    """A row as the World Bank writes it; what surrounds the estimate is missing where the estimate is."""
    rest: list[Cell] = [".."] * 5 if estimate == ".." else [0.2, 7, 50.0, 40.0, 60.0]
    return [f"{code}{dimension}{year}", code, name, year, dimension, estimate, *rest]


def wgi_rows(estimates: Mapping[tuple[str, str], Sequence[Cell]], year: int = 2023) -> list[list[Cell]]:
    """Six rows for each economy (code and name), in the publisher's order: by dimension first."""
    return [
        wgi_row(code, name, year, dimension, values[at])
        for at, dimension in enumerate(DIMENSIONS)
        for (code, name), values in estimates.items()
    ]


def wgi_file(*rows: Sequence[Cell], heading: Sequence[Cell] = WGI_HEADING, sheet: str = "Sheet1") -> bytes:
    return workbook({sheet: [heading, *rows]})


CPI_HEADING = (
    "Country",
    "ISO3",
    "Region",
    "CPI Score {year}",
    "Rank ",
    "standard error",
    "Lower CI ",
    "Upper CI",
    "number of sources",
)


def cpi_rows(year: int, scores: Mapping[tuple[str, str], Cell]) -> list[list[Cell]]:
    """The first sheet as Transparency International writes it, with its mean below, which is no country."""
    heading = [text.format(year=year) for text in CPI_HEADING]
    rows = [[name, code, "AP", score, 1, 2.4, 40, 60, 8] for (code, name), score in scores.items()]
    return [
        [f"Corruption Perceptions Index {year}: Global Scores "],
        [],
        [*heading],
        *rows,
        [],
        ["GLOBAL AVARAGE", "", "", 43.07],
    ]


def cpi_history(scores: Mapping[tuple[str, str], Mapping[int, Cell]], *years: int) -> list[list[Cell]]:
    """The sheet of earlier years, three columns each, newest first."""
    heading: list[Cell] = ["Country", "ISO3", "Region"]
    for year in years:
        heading += [f"CPI {'score' if year > 2013 else 'Score'} {year}", f"Standard error {year}", f"Sources {year}"]
    rows = []
    for (code, name), by_year in scores.items():
        row: list[Cell] = [name, code, "AP"]
        for year in years:
            score = by_year.get(year, "")
            row += [score, 2.0 if score != "" else "", 7 if score != "" else ""]
        rows.append(row)
    return [["Corruption Perceptions Index: Score evolution since 2012"], [], heading, *rows]


def cpi_file(year: int, scores: Mapping[tuple[str, str], Cell], **more: Rows) -> bytes:
    return workbook({f"CPI {year}": cpi_rows(year, scores), **more})
