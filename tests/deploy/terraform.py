"""The Terraform module, and what it would make: its values, with all that it refers to looked up.

Terraform and its provider are not here. So the module's text is parsed, and each reference is looked up in a
table of what stands in AWS; one that the table lacks, and any function but `jsonencode`, is an error. Whether
the provider takes what is said, only the provider can tell.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import hcl2
from hcl2 import SerializationOptions

from deploy.stack import CHECKOUT

MODULE: Final = CHECKOUT / "deploy" / "aws" / "terraform"
OPTIONS: Final = SerializationOptions(with_comments=False, explicit_blocks=False)
"""Strings keep their quotes, so that they can be told from expressions, which come as `${...}`."""

POLICY_VERSION: Final = "2012-10-17"
"""Of each aws_iam_policy_document that names no other."""

_JSON: Final = re.compile(r"jsonencode\((.*)\)", re.DOTALL)
_PART: Final = re.compile(r"\$\{([^}]*)\}")


def text_of(folder: Path = MODULE) -> str:
    """All files of the module, one after the other; to Terraform they are one."""
    return "\n".join(path.read_text() for path in sorted(folder.glob("*.tf")))


class Module:
    """A module with its variables.

    text: of all its files. variables: by name, those that have no default among them. known: what else it
    refers to, by the whole reference.
    """

    def __init__(self, text: str, variables: Mapping[str, str], known: Mapping[str, str]) -> None:
        self._parsed = hcl2.loads(text, serialization_options=OPTIONS)
        self._known: dict[str, str] = dict(known)
        for name, declared in self.declared("variable"):
            self._known[f"var.{name}"] = variables[name] if name in variables else declared.get("default", "")

    def declared(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name and body of each `variable` or `output`; strings without quotes, and nothing looked up."""
        for block in self._parsed[kind]:
            for name, body in block.items():
                yield _bare(name), {key: _bare(value) for key, value in body.items()}

    def resources(self) -> dict[str, dict[str, Any]]:
        """What would be made, by type. Raises: ValueError where a type is made twice."""
        made: dict[str, dict[str, Any]] = {}
        for block in self._parsed["resource"]:
            ((quoted_type, named),) = block.items()
            ((_, body),) = named.items()
            if _bare(quoted_type) in made:
                raise ValueError(f"two of {quoted_type}")
            made[_bare(quoted_type)] = {
                key: [_bare(each) for each in value] if key == "depends_on" else self._value(value)
                for key, value in body.items()
            }
        return made

    def outputs(self) -> dict[str, Any]:
        """Each output's value."""
        return {name: self._value(body["value"]) for name, body in self.declared("output")}

    def _value(self, value: Any) -> Any:
        match value:
            case dict():
                return {_bare(key): self._value(each) for key, each in value.items()}
            case list():
                return [self._value(each) for each in value]
            case str() if value.startswith('"'):
                return _PART.sub(lambda found: str(self._looked_up(found[1])), _bare(value))
            case str():
                return self._looked_up(_bare(value))
        return value

    def _looked_up(self, expression: str) -> Any:
        if encoded := _JSON.fullmatch(expression):
            return self._value(hcl2.loads(f"it = {encoded[1]}\n", serialization_options=OPTIONS)["it"])
        if document := re.fullmatch(r"data\.aws_iam_policy_document\.(\w+)\.json", expression):
            return self._policy(document[1])
        return self._known[expression]

    def _policy(self, name: str) -> dict[str, Any]:
        """A policy as the provider writes it."""
        for block in self._parsed["data"]:
            document = block.get('"aws_iam_policy_document"', {}).get(f'"{name}"')
            if document:
                statements = [self._statement(each) for each in document["statement"]]
                for dynamic in document.get("dynamic", ()):
                    statements += self._dynamic(dynamic['"statement"'])
                return {"Version": POLICY_VERSION, "Statement": statements}
        raise KeyError(name)

    def _dynamic(self, block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The statement that is there where a variable is not empty: the one condition that is understood."""
        said = re.fullmatch(r'(var\.\w+) == "" \? \[\] : \[\1\]', _bare(block["for_each"]))
        if not said:
            raise ValueError(block["for_each"])
        self._known["statement.value"] = self._known[said[1]]
        if self._known[said[1]]:
            yield self._statement(block["content"][0])

    def _statement(self, block: Mapping[str, Any]) -> dict[str, Any]:
        said = {key: self._value(value) for key, value in block.items()}
        (principals,) = said["principals"]
        conditions: dict[str, dict[str, Any]] = {}
        for each in said.get("condition", ()):
            conditions.setdefault(each["test"], {})[each["variable"]] = _one(each["values"])
        return {
            "Sid": said["sid"],
            "Effect": said.get("effect", "Allow"),
            "Principal": {principals["type"]: _one(principals["identifiers"])},
            "Action": _one(said["actions"]),
            "Resource": _one(said["resources"]),
            **({"Condition": conditions} if conditions else {}),
        }


def _bare(value: Any) -> Any:
    """A string without its quotes, an expression without its braces, anything else as it is."""
    if not isinstance(value, str):
        return value
    return value.removeprefix("${").removesuffix("}") if value.startswith("${") else value.strip('"')


def _one(values: list[Any]) -> Any:
    """Of a list of one that one, which means the same in a policy."""
    return values[0] if len(values) == 1 else values
