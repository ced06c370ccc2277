"""A stand-in for SNS's signing, for the demo's traffic and for tests.

It makes a throwaway RSA key with a self-signed certificate, writes the certificate where ingest looks for
pinned ones (`SNS_CERTIFICATE_DIR`), and signs envelopes as SNS does. Nothing outside that folder trusts it.
The string to sign is worded here a second time on purpose: an error in ingest's must not hide in its twin.

Source: SNS developer guide, "Verifying the signatures of Amazon SNS messages".
"""

import base64
import datetime as dt
import hashlib
import uuid
from pathlib import Path
from typing import Final, Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

type_of_version = Literal["1", "2"]

_NOT_SIGNED: Final = frozenset({"SignatureVersion", "Signature", "SigningCertURL", "UnsubscribeURL"})
_SUBJECT: Final = "Amazon SES Email Event Notification"


class Signer:
    """Signs SNS envelopes.

    certificate_name: the file that was written and the last part of every SigningCertURL.
    """

    def __init__(self, key: rsa.RSAPrivateKey, certificate_name: str) -> None:
        self._key = key
        self.certificate_name = certificate_name

    @classmethod
    def create(cls, directory: Path) -> Self:
        """Make a key; its certificate becomes `SimpleNotificationService-<32 hex>.pem` in the directory."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.invalid")])
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + dt.timedelta(days=1))
            .sign(key, SHA256())
        )
        pem = certificate.public_bytes(Encoding.PEM)
        file_name = f"SimpleNotificationService-{hashlib.sha256(pem).hexdigest()[:32]}.pem"
        (directory / file_name).write_bytes(pem)
        return cls(key, file_name)

    def notification(
        self,
        topic_arn: str,
        message: str,
        *,
        subject: str | None = _SUBJECT,
        message_id: str | None = None,
        version: type_of_version = "1",
    ) -> dict[str, str]:
        """A signed Notification.

        topic_arn: `arn:aws:sns:<region>:<account>:<name>`. message: what SES published, as text.
        message_id: SNS's own id of the message; none: a new one. version: 1 is SHA-1, 2 is SHA-256.
        Returns: the envelope; `json.dumps` of it is the body that SNS posts.
        """
        fields = {"Type": "Notification", "TopicArn": topic_arn, "Message": message}
        if message_id is not None:
            fields["MessageId"] = message_id
        if subject is not None:
            fields["Subject"] = subject
        return self.sign(fields, version)

    def confirmation(
        self,
        topic_arn: str,
        token: str,
        *,
        kind: Literal["SubscriptionConfirmation", "UnsubscribeConfirmation"] = "SubscriptionConfirmation",
        version: type_of_version = "1",
    ) -> dict[str, str]:
        """A signed SubscriptionConfirmation or UnsubscribeConfirmation; see `notification`."""
        fields = {
            "Type": kind,
            "TopicArn": topic_arn,
            "Token": token,
            "Message": f"About a subscription to {topic_arn}.\nSubscribeURL confirms it.",
            "SubscribeURL": f"https://sns.invalid/?TopicArn={topic_arn}&Token={token}",
        }
        return self.sign(fields, version)

    def sign(self, fields: dict[str, str], version: type_of_version = "1") -> dict[str, str]:
        """Complete and sign an envelope.

        fields: any of the envelope's fields, `TopicArn` at least; MessageId, Timestamp and SigningCertURL
            are added where they are missing. What was signed before is signed anew.
        """
        region = fields["TopicArn"].split(":")[3]
        host = f"sns.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        envelope = {
            "MessageId": str(uuid.uuid4()),
            "Timestamp": now.replace("+00:00", "Z"),
            "SigningCertURL": f"https://{host}/{self.certificate_name}",
            **fields,
            "SignatureVersion": version,
        }
        text = "".join(f"{k}\n{v}\n" for k, v in sorted(envelope.items()) if k not in _NOT_SIGNED)
        digest = SHA1() if version == "1" else SHA256()  # noqa: S303  # SNS's version 1 is SHA-1
        signature = self._key.sign(text.encode(), padding.PKCS1v15(), digest)
        return {**envelope, "Signature": base64.b64encode(signature).decode()}
