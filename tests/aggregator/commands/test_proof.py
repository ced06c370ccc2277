"""The command `recount`: what it prints is the law with the rules of the settings."""

import pytest
from typer.testing import CliRunner

from aggregator.__main__ import cli
from aggregator.config import AggregatorSettings
from aggregator.proof.law import script, views


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("file:///var/lib/its%20archive/", "/var/lib/its archive"),
        ("s3://bucket/archive", "s3://bucket/archive"),
        ("s3://key:secret@bucket/archive/?region=eu-west-1&scheme=https", "s3://bucket/archive"),
        ("", "/archive"),
    ],
)
def test_it_prints_the_law_with_the_rules_and_the_place_of_the_archive(
    monkeypatch: pytest.MonkeyPatch, url: str, place: str
) -> None:
    monkeypatch.setenv("ARCHIVE_URL", url)
    monkeypatch.setenv("DEFAULT_TENANT", "it's")
    monkeypatch.setenv("SCOPE_TAGS", "isp=ses:recipient-isp")
    result = CliRunner().invoke(cli, ["recount", "--sql"])
    assert result.exit_code == 0
    assert result.stdout == script(AggregatorSettings().rules, place)
    assert "'it''s'" in result.stdout
    assert "'ses:recipient-isp'" in result.stdout
    for_queries = CliRunner().invoke(cli, ["recount", "--views"])
    assert for_queries.exit_code == 0
    assert for_queries.stdout == views(AggregatorSettings().rules, place)


def test_it_counts_nothing_itself() -> None:
    assert CliRunner().invoke(cli, ["recount"]).exit_code == 2
    assert CliRunner().invoke(cli, ["recount", "--sql", "--views"]).exit_code == 2
