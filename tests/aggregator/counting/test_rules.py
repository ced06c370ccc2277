"""The rules of counting: what the fingerprint tells apart, and which settings are refused."""

from dataclasses import replace
from itertools import combinations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aggregator.config import AggregatorSettings
from aggregator.counting import rules
from aggregator.counting.rules import Rules
from schemas.counters import LAYOUT
from schemas.kinds import FUTURE_MS, HORIZON_MS, KINDS, STALE_MS

VARIANTS = [
    Rules(),
    Rules(tenant_tag="sequence", sequence_tag="tenant"),
    Rules(sequence_tag="template", template_tag="sequence"),
    Rules(tenant_tag="Tenant"),
    Rules(sequence_tag="campaign"),
    Rules(template_tag="layout"),
    Rules(default_tenant="tenant"),
    Rules(default_tenant="None"),
    Rules(default_tenant="null"),
    Rules(default_tenant="\N{GRINNING FACE}"),
]

texts = st.text(st.characters(codec="utf-8"), max_size=4)
all_rules = st.builds(Rules, texts, texts, texts, st.none() | texts)


@given(all_rules, all_rules)
def test_equal_rules_have_equal_fingerprints_and_others_others(one: Rules, other: Rules) -> None:
    """A fingerprint is a function of the rules and tells any two apart."""
    assert (one.fingerprint == other.fingerprint) is (one == other)
    assert one.fingerprint == replace(one).fingerprint


@pytest.mark.parametrize(("one", "other"), list(combinations(VARIANTS, 2)))
def test_each_setting_is_in_the_fingerprint(one: Rules, other: Rules) -> None:
    """Tag names by their place, and the default tenant; none is not a tenant of that name."""
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VERSION", rules.VERSION + 1),
        ("LAYOUT", LAYOUT + 1),
        ("HORIZON_MS", HORIZON_MS + 1),
        ("STALE_MS", STALE_MS + 1),
        ("FUTURE_MS", FUTURE_MS + 1),
        ("KINDS", KINDS[:-1]),
        ("KINDS", KINDS[::-1]),
        ("KINDS", (*KINDS[:-1], replace(KINDS[-1], retraction=None))),
        ("KINDS", (*KINDS[:-1], replace(KINDS[-1], retraction=("complaint_feedback_type", "other")))),
        ("KINDS", (replace(KINDS[0], event_type="Sent"), *KINDS[1:])),
        ("KINDS", (replace(KINDS[0], recipients=None), *KINDS[1:])),
        ("KINDS", (replace(KINDS[0], field="handed_over"), *KINDS[1:])),
        ("KINDS", (replace(KINDS[0], body="delivery"), *KINDS[1:])),
        ("KINDS", (replace(KINDS[0], address_key="emailAddress"), *KINDS[1:])),
    ],
)
def test_each_constant_is_in_the_fingerprint(
    name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version of counting, layout, table of kinds and bounds of time."""
    before = Rules().fingerprint
    monkeypatch.setattr(rules, name, value)
    assert Rules().fingerprint != before


def test_another_decoder_is_another_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the decoder refuses is a dead letter, so its version is part of the rules."""
    before = Rules().fingerprint
    monkeypatch.setattr(msgspec, "__version__", msgspec.__version__ + ".1")
    assert Rules().fingerprint != before


def test_a_fingerprint_is_short_and_plain() -> None:
    """16 hexadecimal digits: it stands in every lane and in every call."""
    assert len(Rules().fingerprint) == 16
    int(Rules().fingerprint, 16)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any setting of the rules."""
    for name in ("TENANT_TAG", "SEQUENCE_TAG", "TEMPLATE_TAG", "DEFAULT_TENANT"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_rules_come_from_the_environment(settings: pytest.MonkeyPatch) -> None:
    """Each variable is its own rule; an empty one is not set."""
    assert AggregatorSettings().rules == Rules()
    settings.setenv("DEFAULT_TENANT", "")
    settings.setenv("TENANT_TAG", "")
    assert AggregatorSettings().rules == Rules()
    for name, value in (
        ("TENANT_TAG", "t"),
        ("SEQUENCE_TAG", "s"),
        ("TEMPLATE_TAG", "p"),
        ("DEFAULT_TENANT", "d"),
    ):
        settings.setenv(name, value)
    assert AggregatorSettings().rules == Rules("t", "s", "p", "d")


@pytest.mark.parametrize(
    ("one", "other"), list(combinations(("TENANT_TAG", "SEQUENCE_TAG", "TEMPLATE_TAG"), 2))
)
def test_tags_that_coincide_are_refused(one: str, other: str, settings: pytest.MonkeyPatch) -> None:
    """One tag cannot be two things, whether by two settings or by one and a default."""
    settings.setenv(one, "campaign")
    settings.setenv(other, "campaign")
    with pytest.raises(ValidationError, match="must differ"):
        AggregatorSettings()
    settings.delenv(one)
    settings.setenv(other, one.removesuffix("_TAG").lower())
    with pytest.raises(ValidationError, match="must differ"):
        AggregatorSettings()
