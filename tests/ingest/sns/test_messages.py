"""What SNS signs verifies, and nothing else does.

Long because it is tables of cases: envelopes, URLs of certificates, signatures, topics.
"""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from hypothesis import given
from hypothesis import strategies as st

from deploy.signing import Signer, type_of_version
from ingest.errors import NotAnEnvelope, Refused
from ingest.sns import messages
from tests.ingest.support import TOPIC, event

BASE = "https://sns.eu-west-1.amazonaws.com/"
NAME = f"SimpleNotificationService-{'0a' * 16}.pem"
ARABIC_ZERO = "\u0660"
CONFIRMATIONS = ("SubscriptionConfirmation", "UnsubscribeConfirmation")

names = st.sampled_from(
    ["Message", "MessageId", "Subject", "Timestamp", "Token", "TopicArn", "Type", TOPIC, ""]
)
lines = names | st.text(max_size=20).map(lambda text: text.replace("\n", " "))
texts = st.text(max_size=60) | st.lists(names, max_size=12).map("\n".join)
common = {"TopicArn": st.just(TOPIC), "MessageId": lines, "Timestamp": lines, "Message": texts}
notifications = st.fixed_dictionaries(
    {"Type": st.just("Notification"), **common}, optional={"Subject": lines}
)
confirmations = st.fixed_dictionaries(
    {"Type": st.sampled_from(CONFIRMATIONS), **common, "Token": lines, "SubscribeURL": lines}
)
unsigned = notifications | confirmations
versions: st.SearchStrategy[type_of_version] = st.sampled_from(["1", "2"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(lines, inner),
    max_leaves=8,
)


def body(envelope: dict[str, Any]) -> bytes:
    return json.dumps(envelope).encode()


@given(fields=unsigned, version=versions)
def test_what_sns_signs_verifies(
    signer: Signer, key: RSAPublicKey, fields: dict[str, str], version: type_of_version
) -> None:
    """Every envelope of every type, signed in either version, verifies and says what it said."""
    verified = messages.verify(messages.parse(body(signer.sign(fields, version))), key)
    assert (verified.type, verified.topic_arn) == (fields["Type"], TOPIC)
    assert (verified.message, verified.message_id) == (fields["Message"], fields["MessageId"])
    assert verified.token == fields.get("Token")


@given(fields=unsigned, value=lines, data=st.data())
def test_a_changed_field_does_not_verify(
    signer: Signer, key: RSAPublicKey, fields: dict[str, str], value: str, data: st.DataObject
) -> None:
    """No signed field can be changed, and no Subject be added."""
    addable = {"Subject"} if fields["Type"] == "Notification" else set()
    name = data.draw(st.sampled_from(sorted((fields.keys() | addable) - {"Type"})))
    signed = signer.sign(fields)
    forged = {**signed, name: value if signed.get(name) != value else f"{value}."}
    with pytest.raises(Refused):
        messages.verify(messages.parse(body(forged)), key)


@given(fields=unsigned)
def test_a_signature_of_one_version_is_none_of_the_other(
    signer: Signer, key: RSAPublicKey, fields: dict[str, str]
) -> None:
    """SignatureVersion is not signed itself; a change of it never helps a forger."""
    with pytest.raises(Refused):
        messages.verify(messages.parse(body({**signer.sign(fields, "2"), "SignatureVersion": "1"})), key)


@given(fields=unsigned)
def test_no_two_envelopes_have_one_string_to_sign(signer: Signer, fields: dict[str, str]) -> None:
    """A string to sign can be read back into its fields, whatever the message holds."""
    text = messages.string_to_sign(messages.parse(body(signer.sign(fields)))).decode()
    rest, read_back = text.removesuffix("\n"), dict[str, str]()
    while "MessageId" not in read_back:
        rest, name, value = rest.rsplit("\n", 2)
        read_back[name] = value
    assert read_back | {"Message": rest.removeprefix("Message\n")} == fields


@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_envelope_is_said_to_be_none(garbage: bytes) -> None:
    """`parse` raises nothing but NotAnEnvelope."""
    with pytest.raises(NotAnEnvelope):
        messages.parse(garbage)


@given(fields=unsigned, name=lines, value=json_values)
def test_keys_that_are_not_used_do_not_matter(
    signer: Signer, key: RSAPublicKey, fields: dict[str, str], name: str, value: Any
) -> None:
    """SNS may add keys: they change nothing."""
    verified = messages.verify(messages.parse(body({f"New{name}": value, **signer.sign(fields)})), key)
    assert verified.message == fields["Message"]


def notification(**fields: Any) -> dict[str, Any]:
    signed = {"SignatureVersion": "1", "Signature": "c2lnbmVk", "SigningCertURL": BASE + NAME}
    complete = {"Type": "Notification", "MessageId": "m-1", "TopicArn": TOPIC, "Message": event(), **signed}
    return {**complete, "Timestamp": "2026-03-01T09:30:01.000Z", **fields}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in notification().items() if key != name}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'"Notification"',
        body(notification()) + b"x",
        b"\xef\xbb\xbf" + body(notification()),
        body(notification()).replace(b"m-1", b"m\xff1"),
        body(notification()).replace(b"m-1", b"m\\ud8001"),
        body(notification()).replace(b'"m-1"', b"NaN"),
        body(notification()).replace(b'"m-1"', b'"m-1", "x": Infinity'),
        body(notification()).replace(b'"m-1"', b'"m-1", "MessageId": "m-2"'),
        body(notification()).replace(b'"m-1"', b'"m-1", "Message\\u0049d": "m-2"'),
        body(notification()).replace(b'"m-1"', b'"m-1", "x": ' + b"[" * 100_000 + b"]" * 100_000),
        body({**notification(), **{f"x{number}": 0 for number in range(messages.KEYS_MAX)}}),
        body(notification()).replace(b'"m-1"', b'"m-1", "x": [' + b"{}," * 300_000 + b"0"),
        *(body(without(name)) for name in ("Type", "MessageId", "TopicArn", "Message", "Timestamp")),
        *(body(notification(**{name: None})) for name in ("Type", "MessageId", "TopicArn", "Message")),
        *(
            body(notification(**{name: 1}))
            for name in ("Type", "MessageId", "Message", "Signature", "Subject")
        ),
        *(body(notification(**{name: "a\nb"})) for name in ("MessageId", "TopicArn", "Timestamp", "Subject")),
        body(notification(Message={"eventType": "Send"})),
        body(notification(Type="notification")),
        body(notification(Type="SubscriptionConfirmation")),
        body(notification(Type="UnsubscribeConfirmation", Token="t")),
    ],
)
def test_no_envelope(raw: bytes) -> None:
    with pytest.raises(NotAnEnvelope):
        messages.parse(raw)


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("eu-west-1", BASE + NAME),
        ("us-gov-west-1", f"https://sns.us-gov-west-1.amazonaws.com/{NAME}"),
        ("cn-north-1", f"https://sns.cn-north-1.amazonaws.com.cn/{NAME}"),
    ],
)
def test_a_certificate_of_the_topics_region_is_taken(region: str, url: str) -> None:
    arn = f"arn:aws:sns:{region}:210987654321:mail-events"
    envelope = messages.parse(body(notification(TopicArn=arn, SigningCertURL=url)))
    assert messages.certificate_url(envelope, {arn}) == url


BAD_CERTIFICATE_URLS = [
    f"http://sns.eu-west-1.amazonaws.com/{NAME}",
    f"HTTPS://sns.eu-west-1.amazonaws.com/{NAME}",
    f"//sns.eu-west-1.amazonaws.com/{NAME}",
    f"https:/sns.eu-west-1.amazonaws.com/{NAME}",
    f"https://sns.eu-west-2.amazonaws.com/{NAME}",
    f"https://sns.eu-west-1.amazonaws.com.cn/{NAME}",
    f"https://sns.eu-west-1.amazonaws.com.example.org/{NAME}",
    f"https://sns.eu-west-1.amazonaws.com./{NAME}",
    f"https://example.org/sns.eu-west-1.amazonaws.com/{NAME}",
    f"https://sns.eu-west-1.amazonaws.com@example.org/{NAME}",
    f"https://user@sns.eu-west-1.amazonaws.com/{NAME}",
    f"https://sns.eu-west-1.amazonaws.com:443/{NAME}",
    f"https://sns.eu-west-1.amazonaws.com:@example.org/{NAME}",
    f"https://sns.eu-west-1.amazonaws.com\\@example.org/{NAME}",
    f"https://sns.s3.amazonaws.com/{NAME}",
    f"https://sns.s3-eu-west-1.amazonaws.com/{NAME}",
    f"https://sns-eu-west-1.amazonaws.com/{NAME}",
    f"https://snsXeu-west-1.amazonaws.com/{NAME}",
    f"https://sns.eu-west-1.amazonawsXcom/{NAME}",
    f"https://bucket.sns.eu-west-1.amazonaws.com/{NAME}",
    f"https://sns.EU-WEST-1.amazonaws.com/{NAME}",
    f"{BASE}bucket/{NAME}",
    f"{BASE}/{NAME}",
    f"{BASE}./{NAME}",
    f"{BASE}../{NAME}",
    f"{BASE}%2e%2e/{NAME}",
    f"{BASE}{NAME}/",
    f"{BASE}{NAME}?x=1",
    f"{BASE}{NAME}?",
    f"{BASE}{NAME}#x",
    f"{BASE}{NAME};x",
    f"{BASE}{NAME}%00",
    f"{BASE}{NAME}\x00",
    f"{BASE}{NAME}\r",
    f"{BASE}{NAME}\t",
    f"{BASE}{NAME} ",
    f" {BASE}{NAME}",
    f"{BASE}{NAME[:-4]}",
    f"{BASE}{NAME[:-4]}Xpem",
    f"{BASE}{NAME[:-5]}.pem",
    f"{BASE}{NAME[:-4]}0.pem",
    f"{BASE}{NAME.replace('a', 'A')}",
    f"{BASE}{NAME.replace('a', 'g')}",
    f"{BASE}{NAME.replace('0', ARABIC_ZERO)}",
    f"{BASE}{NAME.lower()}",
    f"{BASE}?{NAME}",
    BASE,
    "SimpleNotificationService",
]


@pytest.mark.parametrize("url", BAD_CERTIFICATE_URLS)
def test_any_other_certificate_url_is_refused(url: str) -> None:
    with pytest.raises(Refused) as refused:
        messages.certificate_url(messages.parse(body(notification(SigningCertURL=url))), {TOPIC})
    assert refused.value.reason == "certificate_url"


@given(data=st.data())
def test_one_changed_character_makes_a_certificate_url_bad(data: st.DataObject) -> None:
    """Only hexadecimal digits may change: every other character of the URL is given."""
    url = BASE + NAME
    at = data.draw(st.integers(0, len(url) - 1))
    changed = (
        url[:at]
        + data.draw(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))
        + url[at + 1 :]
    )
    envelope = messages.parse(body(notification(SigningCertURL=changed)))
    digits = range(len(url) - 36, len(url) - 4)
    if changed == url or (at in digits and changed[at] in "0123456789abcdef"):
        assert messages.certificate_url(envelope, {TOPIC}) == changed
    else:
        with pytest.raises(Refused):
            messages.certificate_url(envelope, {TOPIC})


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"TopicArn": f"{TOPIC}2"}, "unlisted_topic"),
        ({"TopicArn": TOPIC.upper()}, "unlisted_topic"),
        ({"TopicArn": f"{TOPIC} "}, "unlisted_topic"),
        ({"TopicArn": ""}, "unlisted_topic"),
        ({"Signature": ""}, "unsigned"),
        ({"Signature": None}, "unsigned"),
        ({"SigningCertURL": None}, "unsigned"),
        ({"SigningCertURL": None, "SigningCertUrl": BASE + NAME}, "unsigned"),
        ({"SignatureVersion": None}, "unsigned"),
        ({"SignatureVersion": "3"}, "signature_version"),
        ({"SignatureVersion": "01"}, "signature_version"),
        ({"SignatureVersion": ""}, "signature_version"),
    ],
)
def test_refused_before_a_certificate_is_looked_for(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refused) as refused:
        messages.certificate_url(messages.parse(body(notification(**fields))), {TOPIC})
    assert refused.value.reason == reason


@pytest.mark.parametrize("signature", ["AAAA", "not base64!", "é", "c2lnbmVk", "A" * 344, "=", "AA\tAA"])
def test_a_signature_that_is_none_is_refused(key: RSAPublicKey, signature: str) -> None:
    with pytest.raises(Refused) as refused:
        messages.verify(messages.parse(body(notification(Signature=signature))), key)
    assert refused.value.reason == "bad_signature"


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "*",
        "arn:aws:sns:s3-us-west-2:210987654321:mail",
        "arn:aws:sns:s3:210987654321:mail",
        "arn:aws:sns:eu-west-1.evil:210987654321:mail",
        "arn:aws:sns:eu-west-1:21098765432:mail",
        "arn:aws:sns:eu-west-1:21098765432\u0661:mail",
        "arn:aws:sns:eu-west-1:210987654321:mail.fifo",
        "arn:aws:sns:eu-west-1:210987654321:*",
        "arn:aws:sns:eu-west-1:210987654321:mail:0b1e0e5c",
        "arn:aws:sqs:eu-west-1:210987654321:mail",
        f"{TOPIC}\n",
    ],
)
def test_what_is_no_topic_has_no_region(arn: str) -> None:
    with pytest.raises(ValueError, match="not the ARN"):
        messages.region_of(arn)


@given(token=lines)
def test_a_confirmation_goes_to_sns_with_what_was_signed(
    signer: Signer, key: RSAPublicKey, token: str
) -> None:
    """Whatever a token holds, the URL asks SNS in the topic's region for that topic and token alone."""
    verified = messages.verify(messages.parse(body(signer.confirmation(TOPIC, token))), key)
    url = urlsplit(messages.confirmation_url(verified))
    assert (url.scheme, url.netloc, url.path, url.fragment) == (
        "https",
        "sns.eu-west-1.amazonaws.com",
        "/",
        "",
    )
    query = parse_qsl(url.query, keep_blank_values=True, strict_parsing=True)
    assert query == [("Action", "ConfirmSubscription"), ("TopicArn", TOPIC), ("Token", token)]
