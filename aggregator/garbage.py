"""How often Python looks for garbage in a process that counts: seldom.

Each event makes some ten tuples, lists and dictionaries that live until their call is packed, and die by
their reference counts, without a cycle. By default Python looks through the young ones after every 700, and
again and again through all that the process holds: a tenth of a worker's time, for nothing. Where it looks
after more than a call makes, next to none of them is alive.
"""

import gc
from typing import Final

_CONTAINERS: Final = 50_000


def look_seldom() -> None:
    """Set it for this process.

    What dies in cycles, as errors may, stays until there are so many containers more than at the last look,
    and what is old by then until there were ten or a hundred such looks.
    """
    gc.set_threshold(_CONTAINERS)
