"""The record of the generations: which counters there are in Redis, and in what state each of them is.

A *generation* is one complete set of counters, built from the topic under one set of rules. Its keys are in
`schemas.redis_keys`, and what a counter holds is in `schemas.packed_counter`. The record is the JSON of
`Record`; `aggregator/counters/record.lua` alone writes it.
"""

from enum import StrEnum
from typing import Final

import msgspec

from schemas.kinds import FAMILIES

LAYOUT: Final = 3
"""Version of keys and packed counters. A program meets another one only by refusing it."""

TENANT: Final = "tenant"
"""The name of the scope that is the tenant itself, number 0."""

LANES: Final = 16
"""Lanes of a first generation, where its maker asks for no other number. Fixed for a generation's life."""

LANES_MAX: Final = 1024
"""A shard without a lane has nothing to do, and a Redis Cluster has no more than 1,000 of them."""


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """One generation.

    name: the name of its key space; lanes: how many lanes it has; rules: the fingerprint of the rules it
    was counted by; layout: the version of this layout; kinds: the fields of all kinds (what versions with
    layout 2 look at); families: of kinds, each with its fields in the order in which cells number them;
    scopes: the names of those beside the tenant, in the order of their numbers, from 1 on; identity_key: 16
    secret bytes in hex, with which the identities of messages are hashed (`counting.states`); cluster_id,
    topic_id: the Kafka cluster and topic it was counted from; created_ms: when, by Redis's clock.
    """

    name: str
    lanes: int
    rules: str
    layout: int
    kinds: tuple[str, ...]
    cluster_id: str
    topic_id: str
    created_ms: int
    families: tuple[tuple[str, tuple[str, ...]], ...] = ()
    scopes: tuple[str, ...] = ()
    identity_key: str = ""

    @property
    def is_readable(self) -> bool:
        """Whether this program knows how to read it: it has our layout, and our kinds in our families."""
        return self.layout == LAYOUT and self.has_our_kinds and self.lanes > 0

    @property
    def has_our_kinds(self) -> bool:
        """Whether it counts the kinds that this program knows, in the same families and places."""
        return self.families == tuple(FAMILIES.items())

    @property
    def foreign(self) -> str:
        """What it has that this program cannot read, as words behind its name; only where that is so."""
        if self.layout != LAYOUT:
            age = "a newer" if self.layout > LAYOUT else "an older"
            return f"has layout {self.layout}, of {age} version; this one has layout {LAYOUT}"
        if not self.has_our_kinds:
            return f"has layout {LAYOUT} as this version, and counts other kinds of events"
        return f"has {self.lanes} lanes, which no layout has"

    def scope_number(self, name: str) -> int | None:
        """The number of a scope beside the tenant in Redis, from 1 on; none where it is not counted."""
        return self.scopes.index(name) + 1 if name in self.scopes else None


class State(StrEnum):
    """Where a generation is in its life; `aggregator.counters.lifecycle` says which may follow which."""

    BUILDING = "building"
    """A rebuild counts the topic into it."""
    COMPARING = "comparing"
    """A rebuild compares it with the live one."""
    CLOSING = "closing"
    """A rebuild closes the lanes of the live one, to switch to it."""
    LIVE = "live"
    """Workers count into it, and the API answers from it."""
    RETIRED = "retired"
    """It was live."""
    DROPPING = "dropping"
    """Its keys are being removed, or expire."""


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A generation in the record.

    attempt: of one that is `closing`, the token of the lease under which its rebuild does so.
    start: the checkpoints it began with, where it does not begin at the start of the log: what was begun as
    partial counters must not be finished as whole ones. stop: of one that is `building`, up to where each
    partition is counted before it is compared.
    """

    generation: Generation
    state: State
    attempt: str = ""
    start: dict[int, int] = {}
    stop: dict[int, int] = {}

    @property
    def closes_as(self) -> str:
        """What stands as `retired` in the lanes that it closes."""
        return closed_for(self.generation.name, self.attempt)


class Record(msgspec.Struct, frozen=True):
    """Every generation there is: at most one is live, and at most one is being made."""

    members: tuple[Member, ...]

    @property
    def live(self) -> Generation | None:
        """The live one, none where there is none."""
        return next((each.generation for each in self.members if each.state is State.LIVE), None)

    @property
    def next(self) -> Member | None:
        """The one that is being made, none where there is none."""
        making = (State.BUILDING, State.COMPARING, State.CLOSING)
        return next((each for each in self.members if each.state in making), None)

    def named(self, name: str) -> Member | None:
        """The generation of that name, none where there is none."""
        return next((each for each in self.members if each.generation.name == name), None)


def closed_for(successor: str, attempt: str) -> str:
    """What says in a lane for whom it was closed, and in which attempt."""
    return f"{successor}:{attempt}"
