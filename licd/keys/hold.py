"""The local switch: while it is set, nothing on this machine signs, with or without a database."""

from collections.abc import Callable
from typing import Final

from licd.keys.errors import KeysError
from licd.keys.kinds import KeyPurpose
from licd.keys.signer import Signer


class SigningHeld(KeysError):
    """Signing is held on this machine (`licd hold`): nothing was signed."""


class HoldableSigner:
    """A signer that looks at the hold switch before every signature.

    `held` is asked each time and its exceptions pass through: a switch that cannot be read signs nothing.
    """

    __slots__ = ("_held", "_signer", "key_id", "public_key", "purpose")

    def __init__(self, signer: Signer, held: Callable[[], bool]) -> None:
        self._signer: Final = signer
        self._held: Final = held
        self.key_id: Final[str] = signer.key_id
        self.purpose: Final[KeyPurpose] = signer.purpose
        self.public_key: Final[bytes] = signer.public_key

    def sign(self, message: bytes, /) -> bytes:
        """Sign these bytes. Raises SigningHeld while the switch is set."""
        if self._held():
            raise SigningHeld(f"signing is held on this machine; key {self.key_id} signed nothing")
        return self._signer.sign(message)

    def __repr__(self) -> str:
        return f"HoldableSigner({self._signer!r})"
