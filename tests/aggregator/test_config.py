"""The aggregator's settings of counting: what they make of the rules, and what is refused."""

from itertools import combinations, permutations

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from aggregator.__main__ import cli
from aggregator.config import SCOPES_MAX, AggregatorSettings
from aggregator.counting.rules import Rules
from schemas.shared.settings import complaint

SETTINGS = (
    "TENANT_TAG",
    "SEQUENCE_TAG",
    "TEMPLATE_TAG",
    "SCOPE_TAGS",
    "DEFAULT_TENANT",
    "RECIPIENT_KEY",
)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any setting of the rules."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def refusal() -> str:
    """Why the settings are refused, as the programs print it."""
    with pytest.raises(ValidationError) as refused:
        AggregatorSettings()
    return complaint(refused.value)


def test_the_rules_come_from_the_environment(settings: pytest.MonkeyPatch) -> None:
    """Each variable is its own rule; an empty one is not set."""
    assert AggregatorSettings().rules == Rules()
    for name in SETTINGS:
        settings.setenv(name, "")
    assert AggregatorSettings().rules == Rules()
    for name, value in (
        ("TENANT_TAG", "t"),
        ("SEQUENCE_TAG", "s"),
        ("TEMPLATE_TAG", "p"),
        ("SCOPE_TAGS", "campaign=c"),
        ("DEFAULT_TENANT", "d"),
        ("RECIPIENT_KEY", "0f" * 16),
    ):
        settings.setenv(name, value)
    assert AggregatorSettings().rules == Rules(
        "t", (("sequence", "s"), ("template", "p"), ("campaign", "c")), "d", b"\x0f" * 16
    )


@pytest.mark.parametrize(
    ("one", "other"), list(combinations(("TENANT_TAG", "SEQUENCE_TAG", "TEMPLATE_TAG"), 2))
)
def test_tags_that_coincide_are_refused(one: str, other: str, settings: pytest.MonkeyPatch) -> None:
    """One tag cannot be two things, whether by two settings or by one and a default."""
    settings.setenv(one, "campaign")
    settings.setenv(other, "campaign")
    assert "must differ" in refusal()
    settings.delenv(one)
    settings.setenv(other, one.removesuffix("_TAG").lower())
    assert "must differ" in refusal()


# Further scopes


def test_the_order_in_which_scopes_are_written_decides_nothing(settings: pytest.MonkeyPatch) -> None:
    """By name, after those of the page: so a setting written otherwise is not another generation."""
    pairs = ("isp=ses:recipient-isp", "campaign=Campaign", "step_2=step")
    fingerprints = set()
    for order in permutations(pairs):
        settings.setenv("SCOPE_TAGS", ",".join(order))
        rules = AggregatorSettings().rules
        assert rules.scopes[2:] == (
            ("campaign", "Campaign"),
            ("isp", "ses:recipient-isp"),
            ("step_2", "step"),
        )
        assert rules.scope_names == ("sequence", "template", "campaign", "isp", "step_2")
        assert rules.tags == ("tenant", "sequence", "template", "Campaign", "ses:recipient-isp", "step")
        fingerprints.add(rules.fingerprint)
    assert len(fingerprints) == 1
    settings.setenv("SCOPE_TAGS", " isp = ses:recipient-isp , campaign=Campaign,step_2=step ")
    assert AggregatorSettings().rules.fingerprint in fingerprints, "spaces decide nothing either"


def test_there_is_a_most_of_scopes(settings: pytest.MonkeyPatch) -> None:
    assert SCOPES_MAX == 6
    for number in (SCOPES_MAX, SCOPES_MAX + 1):
        settings.setenv("SCOPE_TAGS", ",".join(f"s{each}=tag-{each}" for each in range(number)))
        if number <= SCOPES_MAX:
            assert len(AggregatorSettings().rules.scopes) == 2 + number
        else:
            assert "SCOPE_TAGS: Value error, at most 6" in refusal()


@pytest.mark.parametrize("name", ["a", "a" * 32, "a1_", "tenants", "known"])
@pytest.mark.parametrize("tag", ["a", "A" * 255, "ses:from-domain", "x_y.z@1-2"])
def test_names_and_tags_as_they_may_be(name: str, tag: str, settings: pytest.MonkeyPatch) -> None:
    settings.setenv("SCOPE_TAGS", f"{name}={tag}")
    assert AggregatorSettings().rules.scopes[2:] == ((name, tag),)


@pytest.mark.parametrize(
    "pair",
    [
        *(f"{name}=tag" for name in ("", "A", "1a", "_a", "a-b", "a.b", "a" * 33, "ä", "a b")),
        *(f"name={tag}" for tag in ("", "a b", "a/b", "é", "a" * 256, "a=b", "a;b")),
        "name",
        "=",
        "name:tag",
        "name=tag,",
        ",name=tag",
        "name=tag,,other=else",
    ],
)
def test_what_is_no_scope_is_refused(pair: str, settings: pytest.MonkeyPatch) -> None:
    settings.setenv("SCOPE_TAGS", pair)
    reported = refusal()
    assert "SCOPE_TAGS" in reported
    assert "is no name=tag" in reported


@pytest.mark.parametrize("name", ["tenant", "sequence", "template"])
def test_a_scope_of_the_page_is_not_named_again(name: str, settings: pytest.MonkeyPatch) -> None:
    settings.setenv("SCOPE_TAGS", f"{name}=other")
    assert f"SCOPE_TAGS: Value error, the scope {name} is there already" in refusal()


def test_a_name_or_a_tag_stands_once(settings: pytest.MonkeyPatch) -> None:
    """Among the further scopes, and between them and the page's."""
    settings.setenv("SCOPE_TAGS", "campaign=a,campaign=b")
    assert "the scope campaign is there already" in refusal()
    for scope_tags in ("one=same,other=same", "one=tenant", "one=sequence", "one=template"):
        settings.setenv("SCOPE_TAGS", scope_tags)
        assert "must differ" in refusal()
    settings.setenv("TEMPLATE_TAG", "layout")
    settings.setenv("SCOPE_TAGS", "one=template")
    assert AggregatorSettings().rules.scopes[1:] == (("template", "layout"), ("one", "template"))
    settings.setenv("SCOPE_TAGS", "one=layout")
    assert "must differ" in refusal()


# The key of pseudonyms


@pytest.mark.parametrize("length", [16, 17, 64])
def test_a_recipient_key_is_hex_digits(length: int, settings: pytest.MonkeyPatch) -> None:
    """Of 16 to 64 bytes, in small or capital letters."""
    for text in ("ab" * length, "AB" * length):
        settings.setenv("RECIPIENT_KEY", text)
        assert AggregatorSettings().rules.recipient_key == b"\xab" * length


@pytest.mark.parametrize(
    "text",
    [
        *("ab" * length for length in (1, 15, 65, 1000)),
        "ab" * 16 + "a",
        "gh" * 16,
        "correct-horse-battery-staple-and-more",
        "0x" + "ab" * 16,
        "\u0663" * 32,
    ],
)
def test_a_recipient_key_that_is_refused_is_not_shown(text: str, settings: pytest.MonkeyPatch) -> None:
    """Too short, too long, no hex digits: the message names the setting and nothing of its value."""
    settings.setenv("RECIPIENT_KEY", text)
    reported = refusal()
    assert "RECIPIENT_KEY" in reported
    assert text[:8] not in reported
    assert text[-8:] not in reported


def test_a_recipient_key_is_not_shown_with_the_settings(settings: pytest.MonkeyPatch) -> None:
    """Neither in the settings as text nor in the rules as text; nor where another setting is wrong."""
    settings.setenv("RECIPIENT_KEY", "c0ffee" * 8)
    made = AggregatorSettings()
    key = made.rules.recipient_key
    for shown in (repr(made), str(made), repr(made.rules)):
        assert "c0ffee" not in shown
        assert repr(key)[2:10] not in shown
    settings.setenv("TENANT_TAG", "sequence")
    assert "c0ffee" not in refusal()


@pytest.mark.parametrize("key", ["c0ffee" * 8, "c0ffee"])
def test_help_shows_no_key(key: str, settings: pytest.MonkeyPatch) -> None:
    """It names the settings, and shows neither a key that is used nor one that would be refused."""
    settings.setenv("RECIPIENT_KEY", key)
    ran = CliRunner().invoke(cli, ["--help"])
    assert ran.exit_code == 0
    assert "RECIPIENT_KEY" in ran.output
    assert "SCOPE_TAGS" in ran.output
    assert "c0ffee" not in ran.output
