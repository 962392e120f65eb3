"""The root of everything that `licd.keys` raises on purpose."""


class KeysError(Exception):
    """Something about a key, a seal, a file or a certificate was refused; the subclass says what."""
