"""Same seed, same choices; and a system's choices are its own."""

from licd.v1 import licence_pb2 as pb
from simulator.chance import stream
from simulator.mission import Mission, Wish
from simulator.oracle.facts import Ask, ask_of
from simulator.oracle.scope import faults
from simulator.oracle.terms import read_terms
from simulator.request_id import request_id

TERMS = pb.LicenceTerms(
    licence="desk",
    not_after_ms=1 << 50,
    constraints=[
        pb.Constraint(concurrent_targets=pb.ConcurrentTargets(limit=3)),
        pb.Constraint(
            target_regions=pb.TargetRegions(regions=["DK", "GB", "SE"], bases=[pb.REGION_BASIS_PRESENT_LOCATION])
        ),
        pb.Constraint(purposes=pb.Purposes(purposes=["licd:serious-crime"])),
        pb.Constraint(offences=pb.Offences(offences=["eaw:drugs", "eaw:weapons"])),
        pb.Constraint(permit_length=pb.PermitLength(length_ms=4_000)),
        pb.Constraint(offline_grace=pb.OfflineGrace(grace_ms=8_000)),
        pb.Constraint(authorisation_required=pb.AuthorisationRequired(max_life_ms=60_000)),
        pb.Constraint(protected_person_attestation=pb.ProtectedPersonAttestation()),
    ],
)
NOW = 1_000_000


def test_a_stream_depends_on_seed_and_name_alone() -> None:
    assert stream(1, "a").randbytes(8) == stream(1, "a").randbytes(8)
    assert len({stream(seed, name).randbytes(8) for seed in (1, 2) for name in ("a", "b")}) == 4


def test_a_stream_is_the_same_on_every_machine() -> None:
    assert stream(2026, "harbour-rescue-diligent-1").randbytes(4).hex() == "0b803d06"


def test_the_same_stream_makes_the_same_wishes() -> None:
    mission = Mission.of(TERMS)
    one, two = (
        [str(mission.out_of_purpose(mission.wish(chance, now), chance)) for _ in range(20)]
        for chance, now in ((stream(1, "a"), NOW), (stream(1, "a"), NOW + 777))
    )
    assert one == two


def test_what_is_asked_for_rightly_is_inside_the_licence_and_what_is_asked_wrongly_is_not() -> None:
    mission, terms = Mission.of(TERMS), read_terms(TERMS.SerializeToString())
    chance = stream(1, "a")
    for _ in range(200):
        wish = mission.wish(chance, NOW)
        assert list(faults(_ask(wish), terms, NOW)) == []
        assert list(faults(_ask(mission.out_of_region(wish, chance)), terms, NOW)) != []
        assert list(faults(_ask(mission.out_of_purpose(wish, chance)), terms, NOW)) != []


def _ask(wish: Wish) -> Ask:
    return ask_of(wish.message())


def test_request_ids_are_of_version_seven_and_begin_with_their_time() -> None:
    found = request_id(0x0123_4567_89AB, stream(1, "a"))
    assert found.startswith("01234567-89ab-7")
    assert found[19] in "89ab"
