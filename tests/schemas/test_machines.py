"""The table of machines: agents that are whole, ending and part; and people whose agents look like them."""

import pytest

from schemas.machines import ENDINGS, PARTS, WHOLE, is_machine

CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"

PEOPLE = (
    "",
    " ",
    "Mozilla",
    "Mozilla/5.0 ",
    " Mozilla/5.0",
    "mozilla/5.0",
    "Mozilla/5.0 (via ggpht.com GoogleImageProxy)",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    f"{CHROME} Chrome/141.0.0.0 Safari/537.36",
    f"{CHROME} Chrome/42.0.2311.135 Safari/537.36 Edge/12.246",
    f"{CHROME} Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0 (more)",
    f"{CHROME} Chrome/142.0.2311.135 Safari/537.36 Edge/12.246  Mozilla/5.0",
    "Thunderbird/140.0",
)


@pytest.mark.parametrize("agent", WHOLE)
def test_a_whole_agent_is_one_only_by_itself(agent: str) -> None:
    assert is_machine(agent)
    for other in (f"{agent} ", f" {agent}", f"{agent} (X11; Linux x86_64)", agent.lower(), agent[:-1]):
        assert not is_machine(other)


@pytest.mark.parametrize("agent", ENDINGS)
def test_an_ending_is_one_at_the_end(agent: str) -> None:
    assert is_machine(agent)
    assert is_machine(f"{CHROME} {agent}")
    for other in (f"{agent} ", f"{agent} x", agent[1:], agent.lower()):
        assert not is_machine(other)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_is_one_anywhere(part: str) -> None:
    """At the start, in the middle, at the end; in these letters only."""
    for agent in (part, f"{part}1.0 (+https://x.example)", f"Mozilla/5.0 (compatible; {part}2)", f"a {part}"):
        assert is_machine(agent)
    assert not is_machine(part.upper().swapcase().title().swapcase())
    assert not is_machine(part[:-1])
    assert not is_machine(" ".join(part))


@pytest.mark.parametrize("agent", PEOPLE)
def test_whoever_is_not_in_the_table_is_a_person(agent: str) -> None:
    assert not is_machine(agent)


def test_no_row_stands_in_another_one() -> None:
    """A row that another one covers would say nothing."""
    rows = [*WHOLE, *ENDINGS, *PARTS]
    assert len(set(rows)) == len(rows)
    for part in PARTS:
        assert not [row for row in rows if row != part and part in row]
