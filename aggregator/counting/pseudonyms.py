"""By what a recipient is known everywhere but in the log: a keyed hash of the address. Pure.

So an event that was kept without its addresses still tells the same facts as the event itself. Without a key
a pseudonym can be found by trying addresses; with one, only by who has the key. Addresses compare byte for
byte, as SES sends them.
"""

from hashlib import blake2b
from typing import Final

PSEUDONYM_BYTES: Final = 16
"""Two of a billion addresses have the same pseudonym with odds of 1 to 10^20."""


RECIPIENT_KEY_BYTES: Final = (16, 64)
"""How long a key is, at least and at most."""


class Pseudonyms:
    """Makes pseudonyms with one key."""

    def __init__(self, recipient_key: bytes) -> None:
        """recipient_key: `RECIPIENT_KEY`, up to 64 bytes; may be empty."""
        self._begun = blake2b(key=recipient_key, digest_size=PSEUDONYM_BYTES)

    def of(self, address: str) -> bytes:
        """The pseudonym of an address."""
        hashed = self._begun.copy()
        hashed.update(address.encode())
        return hashed.digest()
