"""The claims that licd-verify checks, and what it says of one that holds."""

from argparse import Namespace
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from licd.evidence.addition import check_addition, parse_addition
from licd.evidence.checkpoint import Checkpoint, LogVerifier
from licd.evidence.entry import Entry, Field
from licd.evidence.export import Report
from licd.evidence.inclusion import check_inclusion, parse_inclusion
from licd.evidence.tiles import CHECKPOINT, check_tiles
from licd.verify.files import Refused, naming, read_export, read_held, read_whole, reader_of
from licd.verify.fork import read_fork
from licd.verify.story import STOPS, How, Mark, NotShown, Stopped, SystemStopped, Watch, shown
from licd.verify.trust import log_verifier
from licd.verify.witnesses import Witnessed, known_witnesses, read_cosigned

Fact = tuple[str, str | int | list[str] | list[int]]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LISTED: Final = 1000

_HOW: Final = {
    How.HELD_NOTHING: "held no lease when it came",
    How.ACKNOWLEDGED: "acknowledged it, with nothing left active",
    How.RAN_OUT: "let all it held run out, and the last seat was free",
}


def log_holds(asked: Namespace) -> list[Fact]:
    """The log was only ever added to: every leaf, root and signature, and all that was kept from before."""
    verifier = log_verifier(asked.key, asked.former_key)
    held, witnessed = _held(asked, verifier)
    stops: list[int] = []
    erased: list[int] = []

    def take(index: int, entry: Entry) -> None:
        kind = entry.field("kind")
        if not isinstance(kind, Field):
            erased.append(index)
        elif kind.value.decode(errors="replace") in STOPS:
            stops.append(index)

    report = read_export(asked.file, verifier, held, take)
    return [
        ("holds", f"{shown(str(asked.file))} is whole, signed, and all that was kept from before is in it"),
        *_log_facts(report, held, witnessed),
        ("stops", stops[:_LISTED]),
        ("kinds_erased", erased[:_LISTED]),
    ]


def tiles_hold(asked: Namespace) -> list[Fact]:
    """A folder of static files is the whole log of the checkpoint in it, commitments only."""
    verifier = log_verifier(asked.key, asked.former_key)
    held, witnessed = _held(asked, verifier)
    read = reader_of(asked.file)
    signed = read(CHECKPOINT)
    if signed is None:
        raise Refused(f"{asked.file}: there is no file named {CHECKPOINT} in it")
    with naming(asked.file):
        stated = verifier.open(signed)
        check_tiles(read, stated, held)
    return [
        ("holds", f"the files in {shown(str(asked.file))} are the log of their checkpoint, all of it"),
        ("origin", shown(stated.origin)),
        ("entries", stated.size),
        ("root", stated.root.hex()),
        *_kept_facts(held, witnessed),
    ]


def suspension_holds(asked: Namespace) -> list[Fact]:
    """A suspension stands at this entry of a whole log, and took effect at every system of its licence.

    Where witnesses are demanded, in what they have seen already, and nothing that came later contradicts it.
    """
    verifier = log_verifier(asked.key, asked.former_key)
    held, witnessed = _held(asked, verifier)
    whole, seen = Watch(asked.entry), Watch(asked.entry)

    def take(index: int, entry: Entry) -> None:
        whole.take(index, entry)
        if witnessed is not None and index < witnessed.size:
            seen.take(index, entry)

    report = read_export(asked.file, verifier, held, take)
    with naming(asked.file):
        found = whole.finish()
    if witnessed is not None:
        _refuse_unseen(asked.file, seen, witnessed)
    return [
        (
            "holds",
            f"entry {asked.entry} stopped licence {shown(found.licence)}, and that took effect at all its systems",
        ),
        *_log_facts(report, held, witnessed),
        *_stop_facts(found),
        *[(f"system {shown(each.name)}", _system_words(each, found.stop)) for each in found.systems],
        ("not_shown", "what a system did that its links do not tell, and permits between grant and end one by one"),
    ]


def fork_holds(asked: Namespace) -> list[Fact]:
    """Two copies of one system spoke, and licd's log says which key is the system's."""
    verifier = log_verifier(asked.key, asked.former_key)
    finding = read_fork(asked.file, verifier)
    file = shown(str(asked.file))
    if finding.ground.is_proof:
        words = f"{file} proves that two copies of {shown(finding.system)} spoke"
    else:
        words = f"{file} fits together; that two copies spoke is licd's word, the links alone do not show it"
    return [
        ("holds", words),
        ("ground", finding.ground.value),
        ("is_proof", "yes" if finding.ground.is_proof else "no"),
        ("system", shown(finding.system)),
        ("enrolment", finding.enrolment),
        ("public_key", finding.public_key.hex()),
        ("enrolled_at", instant(finding.enrolled_at)),
        ("seen_at", instant(finding.seen_at)),
        ("accepted_link", finding.accepted.sequence if finding.accepted else "none yet"),
        ("divergent_link", finding.divergent.sequence),
        ("log_size", finding.checkpoint.size),
        ("not_shown", "who made the copy, why, and which of the two was the first"),
    ]


def addition_holds(asked: Namespace) -> list[Fact]:
    """A newer checkpoint goes on from an older one, by the proof that came along. No entry is looked at."""
    verifier = log_verifier(asked.key, asked.former_key)
    [older] = read_held([asked.old], verifier)
    data = read_whole(asked.file)
    with naming(asked.file):
        newer = check_addition(parse_addition(data), verifier, older)
    return [
        ("holds", f"the log of {newer.size} entries goes on from that of {older.size}"),
        ("origin", shown(newer.origin)),
        ("old_root", older.root.hex()),
        ("root", newer.root.hex()),
    ]


def entry_holds(asked: Namespace) -> list[Fact]:
    """This entry is in the log: one file has it, its proof and the signed checkpoint. What is hidden stays hidden."""
    verifier = log_verifier(asked.key, asked.former_key)
    data = read_whole(asked.file)
    with naming(asked.file):
        found = parse_inclusion(data)
        stated = check_inclusion(found, verifier)
    fields = [
        (f"field {each.name}", _value(each.value) if isinstance(each, Field) else "(hidden)")
        for each in found.entry.fields
    ]
    return [
        ("holds", f"entry {found.index} is in the log of {stated.size} entries, and says this"),
        ("origin", shown(stated.origin)),
        ("index", found.index),
        ("entries", stated.size),
        ("root", stated.root.hex()),
        *fields,
    ]


def _value(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex()[:_LISTED]
    return shown(text) if text.isprintable() else value.hex()[:_LISTED]


def _refuse_unseen(path: Path, seen: Watch, witnessed: Witnessed) -> None:
    try:
        seen.finish()
    except NotShown as error:
        problem = f"in the {witnessed.size} entries that {witnessed.demanded} witnesses have seen: {error}"
        raise Refused(f"{path}: {problem}") from error


def _held(asked: Namespace, verifier: LogVerifier) -> tuple[list[Checkpoint], Witnessed | None]:
    """What must be in the log: what the checker kept from before, and what witnesses cosigned."""
    older: Iterable[Path] = asked.older
    witnesses = known_witnesses(asked.witness, asked.witnesses, verifier)
    cosigned, witnessed = read_cosigned(asked.cosigned, verifier, witnesses, asked.witnesses)
    kept = [*read_held(asked.held, verifier), *[read_export(path, _lenient(verifier)).final for path in older]]
    return [*kept, *cosigned], witnessed


def _lenient(verifier: LogVerifier) -> LogVerifier:
    """An older export ends in a checkpoint by a key that may have been withdrawn since: it was kept from before."""
    return LogVerifier(verifier.origin, (*verifier.keys, *verifier.former), verifier.verify)


def _log_facts(report: Report, held: list[Checkpoint], witnessed: Witnessed | None) -> list[Fact]:
    return [
        ("origin", shown(report.final.origin)),
        ("entries", report.final.size),
        ("root", report.final.root.hex()),
        ("checkpoints", report.checkpoints),
        ("erased_fields", report.erased_fields),
        *_kept_facts(held, witnessed),
    ]


def _kept_facts(held: list[Checkpoint], witnessed: Witnessed | None) -> list[Fact]:
    return [
        ("must_contain", sorted(each.size for each in held)),
        ("witnessed_entries", witnessed.size if witnessed else 0),
        ("witnesses", [f"{shown(name)} ({size})" for name, size in witnessed.seen] if witnessed else []),
    ]


def _stop_facts(found: Stopped) -> list[Fact]:
    stopped = max((each.by for each in found.systems), default=found.stop.at)
    return [
        ("kind", found.kind),
        ("licence", shown(found.licence)),
        ("epoch", found.epoch),
        ("code", shown(found.code)),
        ("decided_at", instant(found.stop.at)),
        ("in_effect_by", f"{instant(stopped)}, {stopped - found.stop.at} ms later"),
        ("lifted", _mark(found.lifted)),
        ("log_lost_something_at", list(found.gaps)),
    ]


def _system_words(one: SystemStopped, stop: Mark) -> str:
    words = f"{_HOW[one.how]}, by {instant(one.by)} (+{one.by - stop.at} ms); held {one.held} leases"
    words += (
        f"; last granted {_mark(one.granted)}; last heard {_mark(one.heard)}; acknowledged {_mark(one.acknowledged)}"
    )
    if one.continuity_until:
        words += f"; had a continuity permit until {instant(one.continuity_until)}"
    return words


def _mark(mark: Mark | None) -> str:
    return "never" if mark is None else f"in entry {mark.index} at {instant(mark.at)}"


def instant(at: int) -> str:
    """Unix milliseconds as people read them, in UTC; as a number where no calendar reaches."""
    try:
        moment = _EPOCH + timedelta(milliseconds=at)
    except OverflowError:
        return f"{at} ms"
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"
