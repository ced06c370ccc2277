"""Where the API reads, by its settings."""

import pytest
from pydantic import ValidationError

from api.config import ApiSettings
from schemas.shared.settings import complaint

PASSWORD = "hunter2"


def test_counters_are_read_where_they_are_counted() -> None:
    settings = ApiSettings(redis_url="redis://primary:6379/3")
    assert settings.redis_reads.redis_url == "redis://primary:6379/3"


def test_or_at_a_replica_with_all_else_alike() -> None:
    settings = ApiSettings(
        redis_url="rediss://primary:6379/3",
        redis_read_url="rediss://reader:x@replica:6379/3",
        redis_ssl_ca_location="",
    )
    assert settings.redis_reads.redis_nodes == ("rediss://reader:x@replica:6379/3", [])
    assert settings.redis_url == "rediss://primary:6379/3"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"redis_cluster": "true"}, "REDIS_READ_URL takes REDIS_CLUSTER=false"),
        ({"redis_read_url": "redis://one,redis://two"}, "names several servers, and takes one"),
        ({"redis_url": "rediss://primary"}, "begins with rediss:// where REDIS_URL does"),
        ({"redis_read_url": "rediss://replica"}, "begins with rediss:// where REDIS_URL does"),
        ({"redis_read_url": f"redis://:{PASSWORD}/2@replica:6379/0"}, "REDIS_READ_URL: Value error, no URL"),
    ],
)
def test_what_would_not_read_as_it_says_is_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        ApiSettings.model_validate({"redis_read_url": f"redis://:{PASSWORD}@replica:6379/0"} | settings)
    reported = complaint(refused.value)
    assert words in reported
    assert PASSWORD not in reported


def test_no_password_is_shown() -> None:
    assert PASSWORD not in repr(ApiSettings(redis_read_url=f"redis://:{PASSWORD}@replica:6379/0"))
