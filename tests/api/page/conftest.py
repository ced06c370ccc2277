"""The page in a real browser: the true API, with counters that a test may change and may let stand still."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from playwright.sync_api import Browser, expect

from schemas import redis_keys
from schemas.topics import API_KEYS, API_KEYS_TOPIC
from tests.api.model import FIELDS
from tests.api.site import Site, until
from tests.api.writer import Counted, Writer
from tests.browser import LIMIT_MS, Tab, Tabs, running_browser
from tests.services import create_topics

TENANT = "looking"
DAY = timedelta(1)
HOSTILE = (
    "<img src=x onerror=\"window.pwned='img'\">",
    "\"><script>window.pwned='script'</script>",
    "javascript:window.pwned='url'//",
    "Grüße 日本 \u202etsil 🦉",
    "a/b?c#d&e=%2F",
    "..",
    "two\nlines",
    "x" * 255,
)
FACTS = {
    "onboarding": (1850, 1800, 720, 144, 45, 2),
    "newsletter": (1000, 950, 300, 40, 50, 1),
}
"""For two sequences, each on a day of its own, the counts of the six in the order of the table of kinds."""
DETAILS = {
    "opened_human": 400,
    "clicked_human": 90,
    "bounced_hard": 61,
    "bounced_soft": 25,
    "bounced_undetermined": 4,
    "suppressed": 9,
    "delayed": 12,
    "rejected": 1,
    "rendering_failed": 2,
    "unsubscribed": 3,
}
"""What is counted beside them, all of it of the first sequence."""
BEFORE = {"sent": 700, "delivered": 650, "opened": 200}
"""Of the second sequence, a week before."""
A_YEAR_BEFORE = {"sent": 90, "delivered": 80}
"""Of the first sequence, a year before."""
CAMPAIGN = "spring"
"""Mail of no sequence and no template, of a further scope that is counted here."""


@dataclass
class Pipeline:
    """The counters, as a running pipeline keeps them: `complete_through` moves on unless it is stopped."""

    writer: Writer
    facts: list[Counted] = field(default_factory=list)
    _runs: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)
    _telling: threading.Lock = field(default_factory=threading.Lock)

    def add(self, *facts: Counted) -> None:
        """Count some more."""
        self.facts += facts
        self.writer.write(self.facts)

    def stall(self) -> None:
        """Stand still: what is told next is the last word."""
        with self._telling:
            self._runs.clear()

    def resume(self) -> None:
        """Go on."""
        self._runs.set()

    def tell(self, through_ms: int | None) -> None:
        """Set `complete_through` of every lane; None takes it away."""
        for lane in range(self.writer.generation.lanes):
            key = redis_keys.lane_key(self.writer.generation.name, lane)
            if through_ms is None:
                self.writer.client.hdel(key, "c0")
            else:
                self.writer.client.hset(key, "c0", through_ms)

    def reset(self) -> None:
        """As at the beginning of a test."""
        self.stall()
        self.writer.client.flushdb()
        self.writer = Writer(self.writer.client)
        self.facts = []
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        noon = today - timedelta(hours=12)
        self.add(
            *(
                Counted(noon - day * DAY, name, count, TENANT, sequence=scope, template=f"{scope}-mail")
                for day, (scope, counts) in enumerate(FACTS.items())
                for name, count in zip(FIELDS, counts, strict=True)
            ),
            *(Counted(noon, "sent", 1, TENANT, sequence=each, template=each) for each in HOSTILE),
            *(Counted(noon, name, count, TENANT, sequence="onboarding") for name, count in DETAILS.items()),
            *(
                Counted(noon - 8 * DAY, name, count, TENANT, sequence="newsletter")
                for name, count in BEFORE.items()
            ),
            *(
                Counted(a_year_before(noon), name, count, TENANT, sequence="onboarding")
                for name, count in A_YEAR_BEFORE.items()
            ),
            Counted(noon, "sent", 5, TENANT, more=(CAMPAIGN, None)),
        )
        self.tell(now_ms())
        self.writer.go_live()
        self.resume()

    def run(self) -> None:
        """Move on, until `end`."""
        while not self._over.wait(0.25):
            with self._telling:
                if self._runs.is_set():
                    self.tell(now_ms())

    def end(self) -> None:
        """End `run`."""
        self._over.set()


def a_year_before(moment: datetime) -> datetime:
    """The same date a year before, which is the 28th for 29 February."""
    is_leap_day = (moment.month, moment.day) == (2, 29)
    return moment.replace(year=moment.year - 1, day=28 if is_leap_day else moment.day)


NO_NUMBER = "\N{EN DASH}"
"""What stands where there is no number."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Running:
    """The true API, its counters, and a key of the tenant that has numbers."""

    site: Site
    pipeline: Pipeline
    key: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.site.port}"

    def ask(self, query: str) -> Any:
        """The API's own answer, without any page."""
        return self.site.get(query, self.key).json()


@pytest.fixture(scope="package")
def the_api(
    redis_url: str, kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """`python -m api` on a Redis database that no other package's tests use."""
    create_topics(kafka_bootstrap, {API_KEYS_TOPIC: API_KEYS})
    url = f"{redis_url.rpartition('/')[0]}/11"
    site = Site(tmp_path_factory.mktemp("api"), KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap, REDIS_URL=url)
    with redis.Redis.from_url(url) as client:
        pipeline = Pipeline(Writer(client))
        pipeline.reset()
        thread = threading.Thread(target=pipeline.run)
        thread.start()
        try:
            site.start()
            until(site.ready)
            yield Running(site, pipeline, site.create(TENANT))
        finally:
            site.kill()
            pipeline.end()
            thread.join()
            client.flushdb()


@pytest.fixture
def running(the_api: Running) -> Running:
    """The API with the same counters for each test."""
    the_api.pipeline.reset()
    return the_api


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module: no longer, as other tests use asyncio."""
    with running_browser() as browser:
        expect.set_options(timeout=LIMIT_MS)
        yield browser


@pytest.fixture
def tabs(browser: Browser, running: Running) -> Iterator[Tabs]:
    """Opens tabs. After each test: no other host was asked, no policy broken, no script failed."""
    opened = Tabs(browser, running.url)
    yield opened
    opened.check()


def enter(tab: Tab, key: str) -> Tab:
    """Give the page a key, as a person does, and wait for numbers."""
    tab.page.get_by_label("API key").fill(key)
    tab.page.get_by_role("button", name="Show numbers").click()
    return settled(tab)


def settled(tab: Tab) -> Tab:
    """Wait until the numbers of the open view are there."""
    expect(tab.page.locator("#numbers")).to_have_attribute("data-state", "now")
    return tab


def look_into(tab: Tab, scope: str, chosen: str) -> None:
    """Choose one of a scope, or "" for all mail, by the controls."""
    if tab.page.locator("#by").input_value() != scope:
        tab.page.get_by_label("Group by").select_option(scope)
    tab.page.locator("#id").select_option(chosen)


def days_ago(days: int) -> str:
    """A date of UTC, as the API takes it."""
    return (datetime.now(UTC) - days * DAY).date().isoformat()


def shows(tab: Tab, answer: Any) -> None:
    """The tiles come to say what an answer says."""
    for name, words in in_words(answer["totals"]).items():
        expect(tab.page.locator(f"[data-total={name}]")).to_have_text(words)


def totals(tab: Tab) -> dict[str, str]:
    """What the tiles say, by field."""
    return {name: tab.page.locator(f"[data-total={name}]").inner_text() for name in FIELDS}


def in_words(counts: dict[str, int]) -> dict[str, str]:
    """Counts as the page writes them."""
    return {name: f"{counts[name]:,}" for name in FIELDS}
