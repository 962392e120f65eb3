"""The token that the tests of PKCS#11 share: SoftHSM is loaded once a process."""

from __future__ import annotations

import pytest
from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from tests.keys.token import ED25519, Token, make_token


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> Token:
    made = make_token(tmp_path_factory.mktemp("token"))
    for number, label in enumerate(("permit", "evidence", "twice", "twice", "mixed"), 1):
        made.make_key(label, number)
    _mix(made)
    return made


def _mix(token: Token) -> None:
    """Puts another public key beside the private one."""
    with token.session() as session:
        public = {Attribute.CLASS: ObjectClass.PUBLIC_KEY}
        [right] = list(session.get_objects(public | {Attribute.LABEL: "mixed"}))
        [other] = list(session.get_objects(public | {Attribute.LABEL: "permit"}))
        point = other[Attribute.EC_POINT]
        right.destroy()
        session.create_object(
            {
                Attribute.CLASS: ObjectClass.PUBLIC_KEY,
                Attribute.KEY_TYPE: KeyType.EC_EDWARDS,
                Attribute.EC_PARAMS: encode_named_curve_parameters(ED25519),
                Attribute.EC_POINT: point,
                Attribute.LABEL: "mixed",
                Attribute.TOKEN: True,
            }
        )
