"""The Lua scripts by which Redis is read."""

import hashlib
from importlib.resources import files
from typing import Final


class Script:
    """A Lua script and the name by which Redis knows it."""

    def __init__(self, name: str) -> None:
        self.text = files("api.counters").joinpath(name).read_text("utf-8")
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


READ: Final = Script("read.lua")
IDS: Final = Script("ids.lua")
