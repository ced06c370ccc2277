"""What lasts is said at once and then once a minute."""

from aggregator.reminder import REMINDER_S, Reminder


def test_what_lasts_is_said_once_a_minute() -> None:
    """The same again waits for its minute; something else, and what had ended, does not."""
    now = [5.0]
    reminder = Reminder(lambda: now[0])
    assert reminder.is_due("away")
    assert not reminder.is_due("away")
    now[0] += REMINDER_S - 0.1
    assert not reminder.is_due("away")
    now[0] += 0.1
    assert reminder.is_due("away")
    assert reminder.is_due("wiped")
    assert not reminder.is_due("wiped")
    reminder.over()
    assert reminder.is_due("wiped")
