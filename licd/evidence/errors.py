"""The one family of errors this package raises about evidence that does not hold."""


class EvidenceInvalid(Exception):
    """Some evidence (proof, note, checkpoint, entry, log) is malformed or does not prove what it claims.

    Every error here says what is wrong in words an auditor can use. A mistake of the caller (a proof asked for
    a leaf that does not exist) is a ValueError instead.
    """
