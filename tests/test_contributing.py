"""CONTRIBUTING.md names files, functions and commands that there are, so that its walks cannot go stale.

Whatever stands there in backticks outside of a code block is a path, a command, or the name of something that
one of the files of the same step (list item, row or paragraph) defines.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
PAGE = (CHECKOUT / "CONTRIBUTING.md").read_text()

PATH = re.compile(r"[\w.-]+(/[\w.-]+)*/?")
SUFFIXES = {".md", ".py", ".toml"}
"""Of files that are named without a folder."""
NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
WALKS = (
    "An event, from socket to counter",
    "A query, from socket to answer",
    "A rebuild, from command to switch",
)


def steps(text: str) -> list[str]:
    """List items, rows and paragraphs, each on one line; code blocks are left out."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    parts = re.split(r"\n\s*\n|\n(?=- |\d+\. |\|)", text)
    return [" ".join(part.split()) for part in parts if part.strip()]


def is_path(token: str) -> bool:
    return PATH.fullmatch(token) is not None and ("/" in token or Path(token).suffix in SUFFIXES)


@cache
def defined(path: Path) -> frozenset[str]:
    """What a file defines: of Python functions, classes, their members and module-level names."""
    text = path.read_text()
    if path.suffix != ".py":
        return frozenset(re.findall(r"[A-Za-z_]\w*", text))
    found: set[str] = set()

    def collect(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    found.add(prefix + name)
                case ast.ClassDef(name=name):
                    found.add(prefix + name)
                    collect(node.body, f"{prefix}{name}.")
                case ast.AnnAssign(target=ast.Name(id=name)):
                    found.add(prefix + name)
                case ast.Assign(targets=targets):
                    names = [each for target in targets for each in ast.walk(target)]
                    found.update(prefix + each.id for each in names if isinstance(each, ast.Name))
                case _:
                    pass

    collect(ast.parse(text).body, "")
    return frozenset(found)


def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))


def what_is_wrong(step: str) -> list[str]:
    """The tokens of a step that name nothing."""
    wrong = []
    tokens = re.findall(r"`([^`]+)`", step)
    files = [CHECKOUT / token for token in tokens if is_path(token)]
    wrong += [str(file.relative_to(CHECKOUT)) for file in files if not file.exists()]
    names = {name for file in files if file.is_file() for name in defined(file)}
    for token in tokens:
        words = token.split()
        if is_path(token):
            continue
        if words[0] == "make" and len(words) == 2:
            known = words[1] in targets()
        elif words[:2] == ["python", "-m"] and len(words) == 3:
            module = CHECKOUT / words[2].replace(".", "/")
            known = module.with_suffix(".py").exists() or (module / "__main__.py").exists()
        else:
            known = NAME.fullmatch(token) is not None and token in names
        if not known:
            wrong.append(token)
    return wrong


@pytest.mark.parametrize("step", [step for step in steps(PAGE) if "`" in step], ids=lambda step: step[:60])
def test_every_file_function_and_command_is_there(step: str) -> None:
    assert what_is_wrong(step) == []


@pytest.mark.parametrize("walk", WALKS)
def test_a_walk_is_an_order_of_functions_with_their_files(walk: str) -> None:
    """Each of its steps is numbered, begins with one file, and names something in it."""
    text = PAGE.partition(f"\n### {walk}\n")[2].partition("\n#")[0]
    numbered = [step for step in steps(text) if re.match(r"\d+\. ", step)]
    assert [int(step.partition(".")[0]) for step in numbered] == list(range(1, len(numbered) + 1))
    assert len(numbered) >= 5
    for step in numbered:
        tokens = re.findall(r"`([^`]+)`", step)
        assert [is_path(token) for token in tokens] == [True] + [False] * (len(tokens) - 1), step
        assert len(tokens) > 1, step


def test_what_is_not_there_is_noticed() -> None:
    """The test above can fail: a function, a file, a command that is none."""
    assert what_is_wrong("1. `tests/test_contributing.py`: `steps`, then `is_path`.") == []
    assert what_is_wrong("1. `tests/test_contributing.py`: `stairs`.") == ["stairs"]
    assert what_is_wrong("`tests/no_such_file.py`") == ["tests/no_such_file.py"]
    commands = ["make coffee", "python -m deploy.coffee"]
    assert what_is_wrong("`make coffee`, `python -m deploy.coffee`") == commands
