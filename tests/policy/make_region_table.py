"""Writes licd/core/region_table.py from pycountry's ISO codes and the UN M49 groups below.

Run it at development time only, `python tests/policy/make_region_table.py`, and read the difference before keeping
it: a country that leaves a group leaves every licence that is issued afterwards. pycountry (LGPL) is not needed to run
licd. M49 groups are the United Nations' (https://unstats.un.org/unsd/methodology/m49/); Taiwan, Kosovo and Antarctica
stand in none of them and must be named by code.
"""

import hashlib
import importlib
import importlib.metadata
import sys
import textwrap
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[2] / "licd" / "core" / "region_table.py"

# User-assigned in ISO 3166-1, used by the European Union, the IMF and the number plan (+383).
USER_ASSIGNED = ("XK",)

LEAVES = {
    "005": ("South America", "AR BO BR BV CL CO EC FK GF GS GY PE PY SR UY VE"),
    "011": ("Western Africa", "BF BJ CI CV GH GM GN GW LR ML MR NE NG SH SL SN TG"),
    "013": ("Central America", "BZ CR GT HN MX NI PA SV"),
    "014": ("Eastern Africa", "BI DJ ER ET IO KE KM MG MU MW MZ RE RW SC SO SS TF TZ UG YT ZM ZW"),
    "015": ("Northern Africa", "DZ EG EH LY MA SD TN"),
    "017": ("Middle Africa", "AO CD CF CG CM GA GQ ST TD"),
    "018": ("Southern Africa", "BW LS NA SZ ZA"),
    "021": ("Northern America", "BM CA GL PM US"),
    "029": ("Caribbean", "AG AI AW BB BL BQ BS CU CW DM DO GD GP HT JM KN KY LC MF MQ MS PR SX TC TT VC VG VI"),
    "030": ("Eastern Asia", "CN HK JP KP KR MN MO"),
    "034": ("Southern Asia", "AF BD BT IN IR LK MV NP PK"),
    "035": ("South-eastern Asia", "BN ID KH LA MM MY PH SG TH TL VN"),
    "039": ("Southern Europe", "AD AL BA ES GI GR HR IT ME MK MT PT RS SI SM VA"),
    "053": ("Australia and New Zealand", "AU CC CX HM NF NZ"),
    "054": ("Melanesia", "FJ NC PG SB VU"),
    "057": ("Micronesia", "FM GU KI MH MP NR PW UM"),
    "061": ("Polynesia", "AS CK NU PF PN TK TO TV WF WS"),
    "143": ("Central Asia", "KG KZ TJ TM UZ"),
    "145": ("Western Asia", "AE AM AZ BH CY GE IL IQ JO KW LB OM PS QA SA SY TR YE"),
    "151": ("Eastern Europe", "BG BY CZ HU MD PL RO RU SK UA"),
    "154": ("Northern Europe", "AX DK EE FI FO GB GG IE IM IS JE LT LV NO SE SJ"),
    "155": ("Western Europe", "AT BE CH DE FR LI LU MC NL"),
}

# Larger groups, by the groups that they are made of. 001, the world, is left out: it names no region.
WHOLES = {
    "002": ("Africa", "011 014 015 017 018"),
    "003": ("North America", "013 021 029"),
    "009": ("Oceania", "053 054 057 061"),
    "019": ("Americas", "005 013 021 029"),
    "142": ("Asia", "030 034 035 143 145"),
    "150": ("Europe", "039 151 154 155"),
    "202": ("Sub-Saharan Africa", "011 014 017 018"),
    "419": ("Latin America and the Caribbean", "005 013 029"),
}

# Subdivision codes of places that have a country code of their own.
ALIASES = {
    "CN": "HK=HK MO=MO TW=TW",
    "FI": "01=AX",
    "FR": "971=GP 972=MQ 973=GF 974=RE 976=YT BL=BL MF=MF NC=NC PF=PF PM=PM TF=TF WF=WF",
    "NL": "AW=AW BQ1=BQ BQ2=BQ BQ3=BQ CW=CW SX=SX",
    "NO": "21=SJ 22=SJ",
    "RS": "25=XK 26=XK 27=XK 28=XK 29=XK KM=XK",
    "US": "AS=AS GU=GU MP=MP PR=PR UM=UM VI=VI",
}

HEADER = '''"""Which regions exist: ISO 3166-1, ISO 3166-2 and UN M49, frozen so that every licd reads the same world.

Written by tests/policy/make_region_table.py, which says where each part comes from; not edited by hand.
"""
'''


def main() -> int:
    """Write the table and say which version it is."""
    TABLE.write_text(render(), encoding="utf-8")
    sys.stdout.write(f"{TABLE.name}: {version()}\n")
    return 0


def version() -> str:
    """The source that the codes come from, by release."""
    return f"iso-codes-{importlib.metadata.version('pycountry')}+m49-2024"


def render() -> str:
    """The whole text of region_table.py."""
    body = "\n".join(
        [
            _block("COUNTRIES", _filled(_countries())),
            "# Suffixes by country: DE: BB stands for DE-BB.",
            _block("SUBDIVISIONS", _subdivisions()),
            "# Subdivision codes of places with a country code of their own: US: PR=PR stands for US-PR, which is PR.",
            _block("ALIASES", [f"{country}: {pairs}" for country, pairs in ALIASES.items()]),
            "# M49 groups by their countries, and larger groups by the groups that they are made of.",
            _block("M49_LEAVES", [f"{code} {name}: {members}" for code, (name, members) in LEAVES.items()]),
            _block("M49_WHOLES", [f"{code} {name}: {parts}" for code, (name, parts) in WHOLES.items()]),
        ]
    )
    digest = hashlib.sha256(body.encode()).hexdigest()
    return f'{HEADER}\nVERSION = "{version()}"\n# SHA-256 of what follows.\nDIGEST = "{digest}"\n\n{body}'


def _countries() -> list[str]:
    return sorted({country.alpha_2 for country in _source().countries} | set(USER_ASSIGNED))


def _subdivisions() -> list[str]:
    rows: dict[str, list[str]] = {}
    for subdivision in _source().subdivisions:
        country, suffix = subdivision.code.split("-", 1)
        rows.setdefault(country, []).append(suffix)
    return [line for country in sorted(rows) for line in _filled([f"{country}:", *sorted(rows[country])])]


def _source() -> Any:
    """The module pycountry; asked for only when a table is made, for it need not be installed."""
    return importlib.import_module("pycountry")


def _filled(words: list[str]) -> list[str]:
    return textwrap.wrap(" ".join(words), width=118, break_on_hyphens=False, subsequent_indent="  ")


def _block(name: str, lines: list[str]) -> str:
    return f'{name} = """\n' + "\n".join(lines) + '\n"""\n'


if __name__ == "__main__":
    sys.exit(main())
