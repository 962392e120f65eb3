"""The directory of a system: who it is, what it believes, and where its chain stands.

    lock                 held by the one process that has the system open
    pseudonym.key        32 bytes, kept across enrolments: volume limits count by it
    joining              keys shown to licd with a join token, until its answer is here (JSON)
    current              number of the enrolment in use
    N.identity           who the system is: names, addresses, keys, receipt (JSON)
    N.channel            its certificate and the authorities it accepts (JSON)
    N.trust              the newest trust bundle, as it was signed
    N.licence            the licence, as it was signed
    N.chain              where the chain stands: written at every link

An enrolment is written under a new number, and used from the moment `current` names it. A crash at any point leaves the
old enrolment or the new one.
"""

import base64
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, TypeVar

from licd.client.disk import Disk
from licd.client.errors import NotEnrolled, StateDamaged
from licd.client.session.chain_record import ChainRecord, RecordUnreadable
from licd.client.session.effects import Record
from licd.client.slots import SlotFile
from licd.keys.bundle import Bundle, BundleError
from licd.keys.bundle_update import reload
from licd.keys.signer import SEED_BYTES

PSEUDONYM_KEY: Final = "pseudonym.key"
JOINING: Final = "joining"
CURRENT: Final = "current"
_PARTS: Final = ("identity", "channel", "trust", "licence", "chain")
_MOST_DIGITS: Final = 18
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EnrolledSystem:
    """What an enrolment bound together. Keys are secrets: never logged, never shown."""

    system: str
    licence: str
    trust_domain: str
    customer_address: str
    enrolment_address: str
    enrolment_authority_pem: str
    receipt: bytes
    system_seed: bytes
    channel_key_pem: str

    def __repr__(self) -> str:
        return f"EnrolledSystem({self.system})"


@dataclass(frozen=True, slots=True)
class Joining:
    """What a join token is traded with: shown again it is answered again, where the first answer was lost."""

    token_hash: bytes
    system_seed: bytes
    channel_key_pem: str
    csr: bytes

    def __repr__(self) -> str:
        return "Joining()"


@dataclass(frozen=True, slots=True)
class Channel:
    """The certificate in use and the authorities that licd's own certificates come from."""

    certificate_chain_pem: str
    authorities_pem: str


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Everything that is read when a system is opened."""

    identity: EnrolledSystem
    channel: Channel
    bundle: Bundle
    licence: bytes
    record: ChainRecord
    pseudonym_key: bytes


class StateDirectory:
    """Reads and writes the files of a system. The disk is locked by whoever made this."""

    def __init__(self, disk: Disk) -> None:
        self._disk: Final = disk
        self._number = 0
        self._chain: SlotFile | None = None

    # ---------------------------------------------------------------------------------------- reading
    def load(self) -> Enrolled:
        """Read everything. Raises NotEnrolled, StateDamaged, OSError."""
        self._number = self._current()
        if not self._number:
            raise NotEnrolled("there is no enrolled system in this directory; enrol one with a join token")
        identity = _from_json(EnrolledSystem, self._part("identity"))
        return Enrolled(
            identity=identity,
            channel=_from_json(Channel, self._part("channel")),
            bundle=self._bundle(),
            licence=self._part("licence"),
            record=self._record(identity.receipt),
            pseudonym_key=self._secret(PSEUDONYM_KEY),
        )

    def _current(self) -> int:
        raw = self._disk.read(CURRENT)
        if raw is None:
            return 0
        if not raw.isdigit() or len(raw) > _MOST_DIGITS:
            raise StateDamaged(f"{CURRENT}: names no enrolment")
        return int(raw)

    def _name(self, part: str) -> str:
        return f"{self._number}.{part}"

    def _part(self, part: str) -> bytes:
        return self._secret(self._name(part))

    def _secret(self, name: str) -> bytes:
        data = self._disk.read(name)
        if data is None:
            raise StateDamaged(f"{name} is missing; the system has to be enrolled anew")
        return data

    def _bundle(self) -> Bundle:
        try:
            return reload(self._part("trust"))
        except BundleError as error:
            raise StateDamaged(f"{self._name('trust')}: {error}") from error

    def _record(self, receipt: bytes) -> ChainRecord:
        name = self._name("chain")
        self._chain = SlotFile(self._disk, name)
        data = self._chain.load()
        if data is None:
            raise StateDamaged(f"{name} is missing; going on without it would look like a copy. Enrol anew")
        try:
            record = ChainRecord.from_bytes(data)
        except RecordUnreadable as error:
            raise StateDamaged(f"{name}: {error}") from error
        if record.enrolment != ChainRecord.first(receipt).enrolment:
            raise StateDamaged(f"{name} belongs to another enrolment")
        return record

    # ---------------------------------------------------------------------------------------- writing
    async def save(self, record: Record, data: bytes) -> None:
        """Make one piece of state durable. Raises OSError."""
        match record:
            case Record.CHAIN:
                if self._chain is None:
                    raise StateDamaged("nothing was loaded that could be saved again")
                await self._chain.save(data)
            case Record.TRUST | Record.LICENCE:
                await self._disk.replace(self._name(record.value), data)

    async def save_channel(self, channel: Channel) -> None:
        """Keep a renewed certificate. Raises OSError."""
        await self._disk.replace(self._name("channel"), _to_json(channel))

    async def pseudonym_key(self, fresh: bytes) -> tuple[bytes, bool]:
        """Return the key of this directory, and whether it is new: `fresh`, where there was none. Raises OSError."""
        known = self._disk.read(PSEUDONYM_KEY)
        if known is None:
            await self._disk.replace(PSEUDONYM_KEY, fresh)
        return known or fresh, known is None

    async def forget_pseudonym_key(self) -> None:
        """Remove a key that nobody has been told of. Raises OSError."""
        await self._disk.remove(PSEUDONYM_KEY)

    async def joining(self, token_hash: bytes, make: Callable[[], Joining]) -> tuple[Joining, bool]:
        """Return what was shown with this token before, or what is made now and kept. Also whether it is new.

        Raises OSError.
        """
        with suppress(StateDamaged):
            known = _from_json(Joining, self._secret(JOINING))
            if known.token_hash == token_hash and len(known.system_seed) == SEED_BYTES:
                return known, False
        made = make()
        await self._disk.replace(JOINING, _to_json(made))
        return made, True

    async def forget_joining(self) -> None:
        """Remove keys that licd has not taken. Raises OSError."""
        await self._disk.remove(JOINING)

    async def enrol(self, identity: EnrolledSystem, channel: Channel, bundle: Bundle, licence: bytes) -> None:
        """Write a new enrolment and put it in place of the one that may be there. Raises OSError."""
        old = self._current()
        self._number = old + 1
        await self._disk.replace(self._name("identity"), _to_json(identity))
        await self._disk.replace(self._name("channel"), _to_json(channel))
        await self._disk.replace(self._name("trust"), bundle.raw)
        await self._disk.replace(self._name("licence"), licence)
        self._chain = SlotFile(self._disk, self._name("chain"))
        await self._chain.create(ChainRecord.first(identity.receipt).to_bytes())
        await self._disk.replace(CURRENT, str(self._number).encode("ascii"))
        await self._disk.remove(JOINING)
        for part in _PARTS if old else ():
            await self._disk.remove(f"{old}.{part}")


def _to_json(value: EnrolledSystem | Channel | Joining) -> bytes:
    shown = {
        name: {"base64": base64.b64encode(each).decode("ascii")} if isinstance(each, bytes) else each
        for name, each in asdict(value).items()
    }
    return json.dumps(shown, indent=1).encode()


def _from_json(kind: type[T], data: bytes) -> T:
    """Read what `_to_json` wrote. Raises StateDamaged; its message holds nothing of the data."""
    try:
        shown: dict[str, Any] = json.loads(data)
        values = {
            name: base64.b64decode(each["base64"], validate=True) if isinstance(each, dict) else str(each)
            for name, each in shown.items()
        }
        return kind(**{field.name: values[field.name] for field in fields(kind)})  # type: ignore[arg-type]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise StateDamaged(f"the file of the {kind.__name__} is damaged; the system has to be enrolled anew") from None
