"""Which opens and clicks a machine caused: the table of user agents.

SES says so itself since August 2026 (`isBotEvent` of opens and clicks, a string: "Likely" or "Unlikely").
This table is for events without it. It names what says of itself that it is no person, and two agents that
are known for what they are; whoever is not in it counts as a person. The table is part of the rules, so of
their fingerprint: a changed row is another generation of counters.
"""

from typing import Final

LIKELY: Final = "Likely"
"""What `isBotEvent` says of a machine (SES announcement of 2026-08-06)."""

WHOLE: Final = ("Mozilla/5.0",)
"""Apple's Mail Privacy Protection fetches all images through a relay, whether anybody looks or not."""

ENDINGS: Final = ("Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0",)
"""Gmail fetches images when the mail comes. (`GoogleImageProxy` is a person's open through Gmail's proxy.)"""

PARTS: Final = (
    "Barracuda Sentinel",
    "Mimecast",
    "Proofpoint",
    "HeadlessChrome/",
    "BingPreview/",
    "Slackbot",
    "SkypeUriPreview",
    "TelegramBot",
    "Twitterbot/",
    "LinkedInBot/",
    "facebookexternalhit/",
)
"""Scanners of links for mail filters, and those that make a preview of a link."""

TABLE: Final = (LIKELY, WHOLE, ENDINGS, PARTS)
"""All of it, for the fingerprint."""


def is_machine(user_agent: str) -> bool:
    """Whether an open or click with this user agent was caused by a machine, where SES does not say."""
    return user_agent in WHOLE or user_agent.endswith(ENDINGS) or any(part in user_agent for part in PARTS)
