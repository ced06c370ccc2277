"""The rule of health: its thresholds to the count, and nothing said of few mails."""

import pytest

from api.sender_health import BOUNCE, COMPLAINT, Thresholds, health_of

FEW = {"rate": None, "status": "insufficient_data"}


@pytest.mark.parametrize(
    ("sent", "bounced_hard", "status"),
    [
        (1_000, 0, "healthy"),
        (1_000, 49, "healthy"),
        (1_000, 50, "warning"),
        (1_000_000, 49_999, "healthy"),
        (1_000_000, 99_999, "warning"),
        (1_000, 100, "critical"),
        (1_000, 1_000, "critical"),
        (3_000_000_000, 300_000_000, "critical"),
        (3_000_000_000, 299_999_999, "warning"),
        (20 * 10**17, 10**17, "warning"),
        (20 * 10**17, 10**17 - 1, "healthy"),
    ],
)
def test_bounces_by_what_was_sent(sent: int, bounced_hard: int, status: str) -> None:
    assert health_of(sent, 10, bounced_hard, 0)["bounce"] == {"rate": bounced_hard / sent, "status": status}


@pytest.mark.parametrize(
    ("delivered", "complained", "status"),
    [
        (1_000, 0, "healthy"),
        (2_000, 1, "healthy"),
        (1_000, 1, "warning"),
        (1_000, 4, "warning"),
        (1_000, 5, "critical"),
        (200, 1, "critical"),
        (1_000_000, 999, "healthy"),
        (1_000_000, 4_999, "warning"),
    ],
)
def test_complaints_by_what_was_delivered(delivered: int, complained: int, status: str) -> None:
    said = health_of(1_000, delivered, 0, complained)["complaint"]
    assert said == {"rate": complained / delivered, "status": status}


def test_the_thresholds_are_known_as_rates() -> None:
    assert (*thresholds(BOUNCE), *thresholds(COMPLAINT)) == (0.05, 0.1, 0.001, 0.005)


def thresholds(rates: Thresholds) -> tuple[float, float]:
    return rates.warning, rates.critical


def test_of_few_mails_nothing_is_said() -> None:
    """Fewer than 1,000 sent; and no complaint rate where nothing was delivered."""
    assert health_of(999, 999, 999, 999) == {"bounce": FEW, "complaint": FEW}
    assert health_of(0, 0, 0, 0) == {"bounce": FEW, "complaint": FEW}
    assert health_of(1_000, 0, 1_000, 0) == {
        "bounce": {"rate": 1.0, "status": "critical"},
        "complaint": FEW,
    }
