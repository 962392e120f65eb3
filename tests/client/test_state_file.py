"""The directory of a system: whole after a crash at any point, for its owner's eyes, and for one process at a time."""

import asyncio
import os
import random  # noqa: TID251 -- seeded
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licd.client.disk import FileDisk
from licd.client.errors import DirectoryInUse, NotEnrolled, StateDamaged
from licd.client.session.chain_record import ChainRecord
from licd.client.session.effects import Record
from licd.client.slots import FIRST_SLOT_BYTES, HEAD_BYTES, SlotFile
from licd.client.state_file import Channel, EnrolledSystem, StateDirectory
from licd.client.system import System
from tests.client.conftest import join_token
from tests.client.fake_licd import FakeLicd, bundle, bundle_envelope, licence_envelope
from tests.client.virtual import MemoryDisk, MemoryNetwork, VirtualClock


class PowerCut(Exception):
    pass


class CutDisk(MemoryDisk):
    """Loses power inside write number `at`: of the bytes being written, those in `kept` have reached the disk."""

    def __init__(self, files: dict[str, bytes], at: int, kept: range | set[int]) -> None:
        super().__init__(dict(files))
        self.at = at
        self.kept = kept

    async def replace(self, name: str, data: bytes) -> None:
        if self.writes == self.at:
            if 0 in self.kept:  # the rename was the last thing that happened
                self.files[name] = data
            raise PowerCut
        await super().replace(name, data)

    async def write_at(self, name: str, offset: int, data: bytes) -> None:
        if self.writes == self.at:
            torn = bytearray(self.files[name])
            for each in self.kept:
                if each < len(data):
                    torn[offset + each] = data[each]
            self.files[name] = bytes(torn)
            raise PowerCut
        await super().write_at(name, offset, data)

    async def remove(self, name: str) -> None:
        if self.writes == self.at:
            raise PowerCut
        await super().remove(name)


async def written(records: list[bytes]) -> MemoryDisk:
    disk = MemoryDisk()
    slots = SlotFile(disk, "chain")
    await slots.create(records[0])
    for record in records[1:]:
        await slots.save(record)
    return disk


async def test_reads_back_the_newest_record() -> None:
    for count in range(1, 6):
        records = [f"record {number}".encode() for number in range(count)]
        disk = await written(records)
        slots = SlotFile(disk, "chain")
        assert slots.load() == records[-1]
        await slots.save(b"another")
        assert SlotFile(disk, "chain").load() == b"another"


async def test_a_write_cut_at_every_byte_leaves_the_old_record_or_the_new_one() -> None:
    disk = await written([b"zero", b"the old record"])
    new = b"the new record, which is longer"
    length = HEAD_BYTES + len(new)
    for cut in range(length + 1):
        torn = CutDisk(disk.files, 0, range(cut))
        slots = SlotFile(torn, "chain")
        assert slots.load() == b"the old record"
        with pytest.raises(PowerCut):
            await slots.save(new)
        after = SlotFile(torn, "chain")
        assert after.load() == (new if cut == length else b"the old record")
        torn.at = -1
        await after.save(b"and on it goes")
        assert SlotFile(torn, "chain").load() == b"and on it goes"


@given(st.sets(st.integers(0, HEAD_BYTES + 30)), st.integers(1, 6))
def test_a_write_of_which_any_bytes_reached_the_disk_leaves_the_old_record_or_the_new_one(
    kept: set[int], count: int
) -> None:
    async def walk() -> None:
        disk = await written([f"record number {number}".encode() for number in range(count)])
        torn = CutDisk(disk.files, 0, kept)
        slots = SlotFile(torn, "chain")
        old = slots.load()
        with pytest.raises(PowerCut):
            await slots.save(b"something else altogether")
        assert SlotFile(torn, "chain").load() in {old, b"something else altogether"}

    asyncio.run(walk())


async def test_a_failed_write_is_tried_again_without_touching_the_last_good_record() -> None:
    disk = await written([b"zero", b"good"])
    slots = SlotFile(disk, "chain")
    slots.load()
    for attempt in (b"first attempt", b"second attempt"):
        disk.fails = OSError(5, "input/output error")
        with pytest.raises(OSError, match="input/output"):
            await slots.save(attempt)
        disk.fails = None
        assert SlotFile(disk, "chain").load() == b"good"
    await slots.save(b"at last")
    assert SlotFile(disk, "chain").load() == b"at last"


async def test_a_record_that_outgrows_its_slot_moves_to_a_larger_file() -> None:
    disk = await written([b"small"])
    assert len(disk.files["chain"]) == 2 * FIRST_SLOT_BYTES
    slots = SlotFile(disk, "chain")
    slots.load()
    for size in (FIRST_SLOT_BYTES - HEAD_BYTES, FIRST_SLOT_BYTES, 5 * FIRST_SLOT_BYTES, 10):
        record = bytes([size % 251]) * size
        await slots.save(record)
        assert SlotFile(disk, "chain").load() == record
    assert len(disk.files["chain"]) == 16 * FIRST_SLOT_BYTES


async def test_a_file_with_no_whole_record_is_refused() -> None:
    disk = await written([b"one", b"two"])
    raw = bytearray(disk.files["chain"])
    raw[20] ^= 1
    raw[FIRST_SLOT_BYTES + 20] ^= 1
    disk.files["chain"] = bytes(raw)
    with pytest.raises(StateDamaged, match="enrolled anew"):
        SlotFile(disk, "chain").load()


# --------------------------------------------------------------------------------------------- directory
def identity(name: str, receipt: bytes) -> EnrolledSystem:
    return EnrolledSystem(
        system=name,
        licence="lic-1",
        trust_domain="licd.example",
        customer_address="a:1",
        enrolment_address="b:2",
        enrolment_authority_pem="pem",
        receipt=receipt,
        system_seed=b"s" * 32,
        channel_key_pem="key",
    )


async def enrolled(disk: MemoryDisk, name: str, receipt: bytes) -> None:
    licence = licence_envelope().SerializeToString()
    await StateDirectory(disk).enrol(identity(name, receipt), Channel("chain", "authorities"), bundle(), licence)


async def whole(disk: MemoryDisk) -> StateDirectory:
    await StateDirectory(disk).pseudonym_key(b"k" * 32)
    return StateDirectory(disk)


async def test_everything_that_was_enrolled_is_read_back() -> None:
    disk = MemoryDisk()
    directory = await whole(disk)
    with pytest.raises(NotEnrolled):
        directory.load()
    await enrolled(disk, "first", b"receipt")
    read = directory.load()
    assert (read.identity, read.channel) == (identity("first", b"receipt"), Channel("chain", "authorities"))
    assert (read.record, read.pseudonym_key) == (ChainRecord.first(b"receipt"), b"k" * 32)
    assert (read.bundle.version, read.licence) == (1, licence_envelope().SerializeToString())


async def test_an_enrolment_cut_at_any_write_leaves_the_old_one_or_the_new_one() -> None:
    before = MemoryDisk()
    await whole(before)
    await enrolled(before, "old", b"old receipt")
    count = before.writes
    seen = set()
    for at in range(count + 6):
        for renamed in (range(0), range(1)):
            disk = CutDisk(before.files, at, renamed)
            with suppress(PowerCut):
                await enrolled(disk, "new", b"new receipt")
            read = StateDirectory(disk).load()
            assert read.identity.system in {"old", "new"}
            assert read.record == ChainRecord.first(read.identity.receipt)
            seen.add(read.identity.system)
    assert seen == {"old", "new"}


async def test_what_is_saved_is_read_back() -> None:
    disk = MemoryDisk()
    directory = await whole(disk)
    await enrolled(disk, "first", b"receipt")
    read = directory.load()
    newer = bundle(bundle_envelope(5))
    record = ChainRecord.first(b"receipt")
    await directory.save(Record.TRUST, newer.raw)
    await directory.save(Record.LICENCE, b"licence")
    await directory.save(Record.CHAIN, record.to_bytes())
    await directory.save_channel(Channel("renewed", "authorities"))
    again = StateDirectory(disk).load()
    assert (again.bundle.version, again.licence, again.channel.certificate_chain_pem) == (5, b"licence", "renewed")
    assert again.record == read.record == record


@pytest.mark.parametrize("name", ["1.identity", "1.channel", "1.trust", "1.licence", "1.chain", "pseudonym.key"])
async def test_a_missing_file_is_named_and_nothing_is_made_up_for_it(name: str) -> None:
    disk = MemoryDisk()
    await whole(disk)
    await enrolled(disk, "first", b"receipt")
    del disk.files[name]
    with pytest.raises(StateDamaged, match=name):
        StateDirectory(disk).load()


@pytest.mark.parametrize("name", ["1.identity", "1.channel", "1.trust", "1.chain", "current"])
async def test_a_damaged_file_is_refused_without_showing_what_is_in_it(name: str) -> None:
    disk = MemoryDisk()
    await whole(disk)
    await enrolled(disk, "first", b"receipt")
    disk.files[name] = b"not what it should be"
    with pytest.raises(StateDamaged) as error:
        StateDirectory(disk).load()
    assert "not what it should be" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "damage"), [("1.identity", b"[" * 30_000), ("1.channel", b'{"a":' * 30_000), ("current", b"9" * 5000)]
)
async def test_damage_that_breaks_a_parser_is_damage(name: str, damage: bytes) -> None:
    disk = MemoryDisk()
    await whole(disk)
    await enrolled(disk, "first", b"receipt")
    disk.files[name] = damage
    with pytest.raises(StateDamaged):
        StateDirectory(disk).load()


async def test_a_chain_of_another_enrolment_is_refused() -> None:
    disk = MemoryDisk()
    await whole(disk)
    await enrolled(disk, "first", b"receipt")
    await SlotFile(disk, "1.chain").create(ChainRecord.first(b"another").to_bytes())
    with pytest.raises(StateDamaged, match="another enrolment"):
        StateDirectory(disk).load()


def test_a_system_that_is_shown_does_not_show_its_keys() -> None:
    assert repr(identity("customer/a/system/b", b"")) == "EnrolledSystem(customer/a/system/b)"


async def test_a_second_enrolment_keeps_the_pseudonym_key_and_clears_the_old_files_away(
    network: MemoryNetwork, clock: VirtualClock
) -> None:
    disk = MemoryDisk()
    for turn in (1, 2):
        chance = random.Random(turn).randbytes
        await System.enrol(join_token(), "unused", disk=disk, network=network, clock=clock, randomness=chance)
    first, second = network.enrolled
    assert first.pseudonym_key_commitment == second.pseudonym_key_commitment
    assert first.public_key != second.public_key
    assert {name.split(".")[0] for name in disk.files} == {"2", "current", "pseudonym"}


# ------------------------------------------------------------------------------------------ real files
async def on_files(directory: Path) -> FileDisk:
    disk = FileDisk(directory)
    disk.lock()
    await StateDirectory(disk).pseudonym_key(b"k" * 32)
    licence = licence_envelope().SerializeToString()
    made = identity("customer/acme/system/north", b"receipt")
    await StateDirectory(disk).enrol(made, Channel("chain", "authorities"), bundle(), licence)
    return disk


async def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "system"
    disk = await on_files(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert len(modes) == 8
    assert set(modes.values()) == {0o600}
    assert StateDirectory(disk).load().identity.system == "customer/acme/system/north"
    disk.unlock()


async def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    disk = await on_files(tmp_path)
    (tmp_path / "1.identity").chmod(0o640)
    with pytest.raises(StateDamaged, match="chmod 600"):
        StateDirectory(disk).load()
    disk.unlock()


async def test_a_directory_can_be_opened_again_once_it_was_given_up(tmp_path: Path) -> None:
    disk = await on_files(tmp_path)
    with pytest.raises(DirectoryInUse):
        FileDisk(tmp_path).lock()
    directory = StateDirectory(disk)
    directory.load()
    await directory.save(Record.CHAIN, ChainRecord.first(b"receipt").to_bytes())
    disk.unlock()
    with pytest.raises(OSError, match="given up"):
        await disk.write_at("1.chain", 0, b"late")
    again = FileDisk(tmp_path)
    again.lock()
    assert StateDirectory(again).load().record == ChainRecord.first(b"receipt")
    again.unlock()


HOLDS = """
import sys
from contextlib import suppress
from pathlib import Path
from licd.client.disk import FileDisk
FileDisk(Path(sys.argv[1])).lock()
print("locked", flush=True)
sys.stdin.read()
"""


def test_two_processes_on_one_directory_are_refused_and_a_dead_one_leaves_no_lock(tmp_path: Path) -> None:
    first = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "locked\n"
        with pytest.raises(DirectoryInUse):
            FileDisk(tmp_path).lock()
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.communicate()
    disk = FileDisk(tmp_path)
    disk.lock()
    disk.unlock()


WRITES = """
import asyncio, sys
from contextlib import suppress
from pathlib import Path
from licd.client.disk import FileDisk
from licd.client.slots import SlotFile

async def main():
    disk = FileDisk(Path(sys.argv[1]))
    disk.lock()
    slots = SlotFile(disk, "chain")
    number = int((slots.load() or b"0").split()[0])
    if not number:
        await slots.create(b"1 first")
        number = 1
    while True:
        number += 1
        await slots.save(b"%d " % number + b"x" * (number * 997 % 20_000))
        print(number, flush=True)

asyncio.run(main())
"""


def test_kill_9_at_any_moment_loses_no_write_that_was_done(tmp_path: Path) -> None:
    last = 0
    for turn in range(6):
        writer = subprocess.Popen([sys.executable, "-c", WRITES, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        for _ in range(5 + 7 * turn):
            last = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        rest, _ = writer.communicate()
        last = max([last, *(int(line) for line in rest.split("\n")[:-1])])
        disk = FileDisk(tmp_path)
        disk.lock()
        record = SlotFile(disk, "chain").load()
        disk.unlock()
        assert record is not None
        assert last <= int(record.split()[0]) <= last + 1


async def test_a_system_works_on_real_files(
    tmp_path: Path, network: MemoryNetwork, clock: VirtualClock, licd: FakeLicd
) -> None:
    chance = random.Random(3).randbytes
    name = await System.enrol(join_token(), tmp_path, network=network, clock=clock, randomness=chance)
    for _ in range(2):
        async with System.open(tmp_path, network=network, clock=clock, randomness=chance) as system:
            assert system.name == name
            async with system.lease(b"t" * 32, purpose="licd:serious-crime") as lease:
                assert lease.usable
    assert licd.links[-1].sequence == len(licd.links)
