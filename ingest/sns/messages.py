"""Amazon SNS messages: their form, what SNS signed, and whose certificate may vouch for it.

Law: nothing in a body is believed, fetched or visited before it has passed, in this order, `parse` (it has
the form), `certificate_url` (it is about a topic of ours, and names a certificate that only SNS in that
topic's region can serve) and `verify` (that certificate's key signed it). The types keep the order: a
`CertificateUrl` and a `Verified` come from here alone. What is verified is what is used: one decoding, no
key twice, and every field but `Message` on one line, so that no two envelopes have the same string to sign.

A valid signature alone proves little: anyone may have a topic of their own point here. Neither a
certificate's dates nor the age of `Timestamp` is checked, as redrives come late.

Sources: SNS developer guide, "Parsing message formats" and "Verifying the signatures of Amazon SNS
messages".
"""

import base64
import re
from collections.abc import Set as AbstractSet
from typing import Final, Literal, NewType, TypeAlias
from urllib.parse import urlencode

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from ingest.errors import NotAnEnvelope, Refused


class Envelope(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """An SNS message as it comes over HTTP, not yet believed. Keys that are not listed here are not used."""

    type: Literal["Notification", "SubscriptionConfirmation", "UnsubscribeConfirmation"]
    message_id: str
    topic_arn: str
    message: str
    timestamp: str
    subject: str | None = None
    token: str | None = None
    subscribe_url: str | None = msgspec.field(default=None, name="SubscribeURL")
    signature_version: str | None = None
    signature: str | None = None
    signing_cert_url: str | None = msgspec.field(default=None, name="SigningCertURL")


class Verified(Envelope, frozen=True, kw_only=True):
    """An envelope that SNS signed, of a topic of ours."""


CertificateUrl = NewType("CertificateUrl", str)
"""A SigningCertURL that has passed every rule: it may be fetched, its last part is a safe file name."""

_ATTRIBUTES: Final = {field.encode_name: field.name for field in msgspec.structs.fields(Envelope)}
"""The fields of an envelope, by their names in SNS's JSON."""

_CONFIRMATION: Final = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
_SIGNED: Final = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": _CONFIRMATION,
    "UnsubscribeConfirmation": _CONFIRMATION,
}
_HASHES: Final = {"1": SHA1, "2": SHA256}

KEYS_MAX: Final = 64
"""Of an envelope; SNS sends some ten."""

_TOPIC_ARN: Final = re.compile(
    r"arn:aws(?:-[a-z]+)*:sns:(?P<region>[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}):[0-9]{12}:[A-Za-z0-9_-]{1,256}",
    re.ASCII,
)
_CERTIFICATE_NAME: Final = re.compile(r"SimpleNotificationService-[0-9a-f]{32}\.pem", re.ASCII)


def parse(body: bytes | bytearray) -> Envelope:
    """Read the body of a request as an SNS envelope.

    It takes a few milliseconds for a mebibyte, whatever stands in it: anybody can send some.
    Raises: NotAnEnvelope where it is none: no JSON object in UTF-8, a key that is repeated, a field that is
        missing or no string, a line break where SNS sends none, an unknown type, more than `KEYS_MAX` keys.
    """
    try:
        _refuse_repeats(body)
        envelope = _ENVELOPE.decode(body)
        _check(envelope)
    except UnicodeError:
        raise NotAnEnvelope("invalid_envelope", "The body is no SNS envelope: it is not UTF-8.") from None
    except RecursionError:
        raise NotAnEnvelope(
            "invalid_envelope", "The body is no SNS envelope: it is nested too deeply."
        ) from None
    except ValueError as error:
        raise NotAnEnvelope("invalid_envelope", f"The body is no SNS envelope: {error}"[:300]) from None
    return envelope


def _check(envelope: Envelope) -> None:
    """Check what types can't say. Raises: ValueError (UnicodeError for half of a surrogate pair)."""
    for name, attribute in _ATTRIBUTES.items():
        value = getattr(envelope, attribute)
        if value is not None:
            value.encode()
            if "\n" in value and name != "Message":
                raise ValueError(f"a line break in {name}")
    if envelope.type != "Notification" and (envelope.token is None or envelope.subscribe_url is None):
        raise ValueError(f"{envelope.type} without Token or SubscribeURL")


class _Key:
    """A key of an object. Each is equal to itself alone, so that a dictionary keeps a repeated one."""


_Keys: TypeAlias = dict[_Key, msgspec.Raw]


def _refuse_repeats(body: bytes | bytearray) -> None:
    """Raise ValueError where the body is no object, repeats a key or has too many of them."""
    names = list[str]()

    def take_down(_: type, name: str) -> _Key:
        if len(names) == KEYS_MAX:
            raise ValueError(f"more than {KEYS_MAX} keys")
        names.append(name)
        return _Key()

    msgspec.json.decode(body, type=_Keys, dec_hook=take_down)
    if len(set(names)) < len(names):
        raise ValueError("a key is repeated")


_ENVELOPE: Final = msgspec.json.Decoder(Envelope)


def region_of(topic_arn: str) -> str:
    """The AWS region of an SNS topic.

    Raises: ValueError where it is not the ARN of a standard SNS topic (SES and HTTP know no FIFO topics).
    """
    match = _TOPIC_ARN.fullmatch(topic_arn)
    if match is None:
        raise ValueError(f"not the ARN of a standard SNS topic: {topic_arn[:300]!r}")
    return match["region"]


def endpoint(region: str) -> str:
    """The base URL of SNS in a region, with its slash: the only host that ingest ever calls."""
    return f"https://sns.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}/"


def certificate_url(envelope: Envelope, listed: AbstractSet[str]) -> CertificateUrl:
    """The URL of the certificate that must have signed the envelope.

    listed: the ARNs of the topics whose messages are taken.
    Raises: Refused where the topic is not listed, there is no signature of a known version, or the URL is
        anything but `SimpleNotificationService-<32 hex digits>.pem` at SNS in the topic's own region. The
        whole string is compared, never parsed: user, port, query and look-alike hosts find no place in it.
    """
    if envelope.topic_arn not in listed:
        raise Refused("unlisted_topic", f"Not a topic of SNS_TOPIC_ARNS: {envelope.topic_arn[:300]!r}.")
    url = envelope.signing_cert_url
    if not envelope.signature or not url or envelope.signature_version is None:
        raise Refused("unsigned", "Signature, SignatureVersion or SigningCertURL is missing.")
    if envelope.signature_version not in _HASHES:
        raise Refused("signature_version", "SignatureVersion is neither 1 nor 2.")
    base = endpoint(region_of(envelope.topic_arn))
    if not url.startswith(base) or _CERTIFICATE_NAME.fullmatch(url, len(base)) is None:
        raise Refused("certificate_url", f"SigningCertURL is no signing certificate at {base}.")
    return CertificateUrl(url)


def string_to_sign(envelope: Envelope) -> bytes:
    """What SNS signs: for each signed field that the envelope has, its name and its value on lines."""
    fields = [(name, getattr(envelope, _ATTRIBUTES[name])) for name in _SIGNED[envelope.type]]
    return "".join([f"{name}\n{value}\n" for name, value in fields if value is not None]).encode()


def verify(envelope: Envelope, key: RSAPublicKey) -> Verified:
    """Check the signature (RSA PKCS#1 v1.5; SHA-1 in version 1, SHA-256 in version 2).

    key: of the certificate at the envelope's `certificate_url`.
    Raises: Refused where the signature is not the key's.
    """
    digest = _HASHES[envelope.signature_version or ""]()
    try:
        signature = base64.b64decode(envelope.signature or "", validate=True)
        key.verify(signature, string_to_sign(envelope), PKCS1v15(), digest)
    except (InvalidSignature, ValueError):  # ValueError: no base64
        raise Refused("bad_signature", "The signature is not that of the named certificate.") from None
    return Verified(**msgspec.structs.asdict(envelope))


def confirmation_url(envelope: Verified) -> str:
    """The URL that confirms a subscription, built from what was verified; SubscribeURL is never visited."""
    query = {"Action": "ConfirmSubscription", "TopicArn": envelope.topic_arn, "Token": envelope.token}
    return f"{endpoint(region_of(envelope.topic_arn))}?{urlencode(query)}"
