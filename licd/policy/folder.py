"""Reads a folder of policies, all of it or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from licd.core.regions import TABLE_VERSION
from licd.policy.allegations import read_allegations
from licd.policy.casework import read_casework
from licd.policy.categories import read_categories
from licd.policy.defaults import read_defaults
from licd.policy.denials import read_denials
from licd.policy.diligence import read_diligence
from licd.policy.misuse import read_misuse
from licd.policy.offences import read_offences
from licd.policy.policies import Policies, PolicyFile
from licd.policy.problems import PolicyError, Problem
from licd.policy.purposes import read_purposes
from licd.policy.reader import Reader
from licd.policy.regions import read_regions
from licd.policy.roles import read_roles
from licd.policy.source import Source, read
from licd.policy.suspension import read_suspension
from licd.policy.templates import TermsTemplate, Vocabulary, read_template

FILES = (
    "categories.toml",
    "regions.toml",
    "purposes.toml",
    "offences.toml",
    "defaults.toml",
    "suspension.toml",
    "denials.toml",
    "roles.toml",
    "diligence.toml",
    "misuse.toml",
    "casework.toml",
    "allegations.toml",
)
TEMPLATES = "licences"
TEST_SUFFIX = ".test.toml"
_VERSION_DOMAIN = b"licd-policies-v1\x00"

T = TypeVar("T")


def load(folder: Path) -> Policies:
    """The policies of a folder. Raises PolicyError with every problem when there is one."""
    policies, problems = gather(folder)
    if policies is None:
        raise PolicyError(problems)
    return policies


def gather(folder: Path) -> tuple[Policies | None, list[Problem]]:
    """The policies, or None and what is wrong with them."""
    reading = _Reading(folder)
    words = Vocabulary(
        categories=reading.file("categories.toml", read_categories),
        regions=reading.file("regions.toml", read_regions),
        purposes=reading.file("purposes.toml", read_purposes),
        offences=reading.file("offences.toml", read_offences),
        defaults=reading.file("defaults.toml", read_defaults),
        suspension=reading.file("suspension.toml", read_suspension),
    )
    denials = reading.file("denials.toml", read_denials)
    roles = reading.file("roles.toml", read_roles)
    broken, told = bool(reading.problems), len(reading.problems)
    diligence = reading.file(
        "diligence.toml", lambda reader: read_diligence(reader, words.categories, words.suspension.suspend)
    )
    if not words.categories:
        # Its floors and lists are named for categories, and these cannot be read.
        del reading.problems[told:]
    misuse = reading.file("misuse.toml", lambda reader: read_misuse(reader, words.suspension.suspend))
    casework = reading.file("casework.toml", lambda reader: read_casework(reader, words.categories, words.suspension))
    allegations = reading.file("allegations.toml", read_allegations)
    templates = _read_templates(reading, words)
    if broken:
        # Judged by broken files, these would be blamed for their faults.
        reading.problems[:] = [problem for problem in reading.problems if not problem.refers]
    if reading.problems:
        return None, sorted(reading.problems)
    return (
        Policies(
            version=_version(reading.sources),
            files=tuple(_file(source) for source in reading.sources),
            categories=words.categories,
            regions=words.regions,
            purposes=words.purposes,
            offences=words.offences,
            denials=denials,
            roles=roles,
            suspension=words.suspension,
            defaults=words.defaults,
            templates=MappingProxyType(templates),
            diligence=diligence,
            misuse=misuse,
            casework=casework,
            allegations=allegations,
        ),
        [],
    )


def unread(folder: Path) -> list[Path]:
    """Files beside the policies that nothing reads. They may be others'; a misspelt name is one, too."""
    return [
        file for file in sorted(folder.glob("*.toml")) if file.name not in FILES and not file.name.endswith(TEST_SUFFIX)
    ]


def template_paths(folder: Path) -> list[str]:
    """The templates of a folder, in order of name."""
    found = sorted((folder / TEMPLATES).glob("*.toml"))
    return [f"{TEMPLATES}/{file.name}" for file in found if not file.name.endswith(TEST_SUFFIX)]


@dataclass(slots=True)
class _Reading:
    """What has been read so far, and what was wrong with it."""

    folder: Path
    sources: list[Source] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def file(self, path: str, reader_of: Callable[[Reader], T]) -> T:
        """Reads one file; one that cannot even be parsed is read as an empty one, and its own problem told alone."""
        source = read(self.folder, path)
        if isinstance(source, Problem):
            self.problems.append(source)
            return reader_of(Reader(Source(path, source.file, "", {}, {(): 1}), []))
        self.sources.append(source)
        reader = Reader(source, self.problems)
        reader.flag("example")
        value = reader_of(reader)
        reader.done()
        return value


def _read_templates(reading: _Reading, words: Vocabulary) -> dict[str, TermsTemplate]:
    found = {}
    for path in template_paths(reading.folder):
        name = Path(path).stem

        def read_one(reader: Reader, name: str = name) -> TermsTemplate:
            return read_template(reader.name(name), reader, words)

        found[name] = reading.file(path, read_one)
    return found


def _file(source: Source) -> PolicyFile:
    return PolicyFile(source.path, source.sha256, source.text, source.data["example"])


def _version(sources: list[Source]) -> str:
    content = {"regions": TABLE_VERSION, "files": {source.path: source.data for source in sources}}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(_VERSION_DOMAIN + canonical.encode()).hexdigest()
