"""The clients as their users get them: imported from what was built, called, and judged by type checkers.

In the texts for checkers a line that ends in `refused` must be refused, and no other may be.
"""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.api.clients.built import blocks, node_project, python_environment, run, typescript_compiler
from tests.api.clients.callers import node
from tests.api.clients.described import described
from tests.api.clients.scripted import Reply, metrics, scripted

pytestmark = pytest.mark.programs

TYPED_PYTHON = """
from typing import assert_type
from kraiter import AsyncKraiter, Counts, Field, Kraiter, Metrics, MetricsParameters
from kraiter import Glossary, Health, KnownIds, MetricsFieldsParameters, Row

kraiter = Kraiter("k", "http://localhost")

six = kraiter.metrics.get(period="day", include="health", timezone="Asia/Kolkata", group_by="campaign")
assert_type(six, Metrics)
assert_type(six.totals.sent, int)
assert_type(six.health, Health | None)
six.totals.opened_human  # refused
six.totals["opened_human"]  # refused
six.timeseries[0].opened_human  # refused
six.totals.sent = 1  # refused

some = kraiter.metrics.get({"period": "week", "fields": ["sent", "opened_human"], "compare": "previous_year"})
assert_type(some, Metrics[Field])
assert_type(some.totals.opened_human, int)
assert_type(some.totals["opened_human"], int)
assert_type(some.timeseries[0].opened_human, int)
assert_type(some.rows(), list[Row])
if some.change is not None and some.groups is not None and some.previous is not None:
    assert_type(some.change.opened_human, float | None)
    assert_type(some.groups[0].clicked_human, int)
    assert_type(some.previous.totals.bounced_hard, int)
some.totals.opend  # refused
some.totals["opend"]  # refused

assert_type(kraiter.metrics.by("campaign", "a", fields="all").totals.suppressed, int)
assert_type(kraiter.metrics.sequence("a", fields="delayed").totals.delayed, int)
assert_type(kraiter.metrics.template("a", {"fields": ("rejected",)}).totals.rejected, int)
assert_type(kraiter.metrics.template("a", {"period": "day"}, to=None, fields=None).totals.sent, int)
kraiter.metrics.get(fields=["opend"])  # refused
kraiter.metrics.get({"fields": ["opend"]})  # refused
kraiter.metrics.get(compare="last_year")  # refused
kraiter.metrics.get(include="statuses")  # refused
kraiter.metrics.sequence("a", include="health")  # refused
kraiter.metrics.by("campaign", "a", group_by="isp")  # refused
kraiter.metrics.by("campaign")  # refused

first: MetricsParameters = {"period": "day"}
assert_type(kraiter.metrics.get(first), Metrics)
second: MetricsFieldsParameters = {"period": "day", "fields": "all"}
assert_type(kraiter.metrics.get(second), Metrics[Field])

def opens(counts: Counts[Field]) -> int:
    return counts.opened_human

opens(some.totals)
opens(six.totals)  # refused

assert_type(list(kraiter.metrics.all_ids("campaign")), list[str])
assert_type(kraiter.metrics.ids("campaign", limit=5), KnownIds)
assert_type(kraiter.metrics.scopes(), KnownIds)
assert_type(kraiter.metrics.fields(), Glossary)
kraiter.metrics.ids("campaign", size=5)  # refused

async def awaited(kraiter: AsyncKraiter) -> None:
    assert_type(await kraiter.metrics.get(), Metrics)
    assert_type((await kraiter.metrics.get(fields=["opened_human"])).totals.opened_human, int)
    assert_type((await kraiter.metrics.by("isp", "a", {"fields": "all"})).totals.delayed, int)
    (await kraiter.metrics.get()).totals.opened_human  # refused
    async for each in kraiter.metrics.all_ids("campaign"):
        assert_type(each, str)
"""

TYPED_TYPESCRIPT = """
import { groupRows, Kraiter, rows } from "kraiter";
import type { Counts, Field, Metrics } from "kraiter";

const kraiter = new Kraiter({ apiKey: "k", baseUrl: "http://localhost" });
let count: number;

const six = await kraiter.metrics.get({ period: "day", include: "health", timezone: "Asia/Kolkata" });
const plain: Metrics = six;
count = plain.totals.sent;
six.health?.complaint.status === "warning";
six.totals.opened_human; // refused
six.timeseries[0]?.opened_human; // refused
six.groups?.[0]?.opened_human; // refused

const some = await kraiter.metrics.get({
  fields: ["sent", "opened_human"],
  include: ["rates", "health"],
  compare: "previous_year",
  group_by: "campaign",
});
count = some.totals.sent + some.totals.opened_human;
count = some.timeseries[0]!.opened_human + some.previous!.totals.opened_human;
const change: number | null = some.change!.opened_human;
count = some.groups![0]!.sent + some.others!.sent;
some.totals.delivered; // refused
some.timeseries[0]!.delivered; // refused
some.change!.delivered; // refused
some.previous!.totals.delivered; // refused
some.others!.delivered; // refused
some.rates!.human_open?.toFixed(2);
count = rows(some)[0]!.opened_human;
rows(some)[0]!.open_rate?.toFixed(2);
rows(some)[0]!.delivered; // refused
const id: string | null = groupRows(some)[0]!.id;

const all: Counts<Field> = (await kraiter.metrics.by("campaign", "a", { fields: "all" })).totals;
const one = await kraiter.metrics.sequence("a", { fields: "delayed" });
count = one.totals.delayed;
one.totals.sent; // refused
count = (await kraiter.metrics.template("a", { fields: undefined })).totals.sent;
count = (await kraiter.metrics.get()).totals.sent;
const made: Field[] = [];
const any = await kraiter.metrics.get({ fields: made });
const perhaps: number | undefined = any.totals.opened_human;
count = any.totals.opened_human; // refused

await kraiter.metrics.get({ fields: ["opend"] }); // refused
await kraiter.metrics.get({ fields: "opend" }); // refused
await kraiter.metrics.get({ compare: "last_year" }); // refused
await kraiter.metrics.get({ include: ["statuses"] }); // refused
await kraiter.metrics.sequence("a", { include: "health" }); // refused
await kraiter.metrics.by("campaign", "a", { group_by: "isp" }); // refused
await kraiter.metrics.by("campaign"); // refused

for await (const each of kraiter.metrics.allIds("campaign")) each.toUpperCase();
(await kraiter.metrics.ids("campaign", { limit: 5 })).items[0]?.id.toUpperCase();
(await kraiter.metrics.scopes()).next_cursor;
await kraiter.metrics.ids("campaign", { size: 5 }); // refused
const glossary = await kraiter.metrics.fields();
glossary.fields[0]?.rate?.formula.toUpperCase();
count = glossary.health.bounce.warning;
"""


def described_typescript() -> str:
    """A program whose objects have a member for each operation, parameter and word of the API's description.

    One that the types lack is refused, and one that the types have beyond them is missed.
    """
    operations = described()

    def members(names: Iterable[str]) -> str:
        return "{ " + " ".join(f"{name}: 0," for name in names) + " }"

    lines = [
        'import type * as k from "kraiter";',
        "type In<T> = { [name in keyof Required<T>]: 0 };",
        "type Words<T> = { [word in Extract<T, string>]: 0 };",
        f"const operations: In<Omit<k.MetricsMethods, 'allIds'>> = {members(operations)};",
    ]
    kinds = {"get": "MetricsParameters", "by": "ScopeParameters", "ids": "PageParameters"}
    for name, kind in kinds.items():
        parameters = operations[name].parameters
        fields = "<k.Fields>" if "fields" in parameters else ""
        lines.append(f"const {name}: In<k.{kind}{fields}> = {members(parameters)};")
        lines += [
            f"const {name}_{parameter}: Words<k.{kind}{fields}['{parameter}']> = {members(words)};"
            for parameter, words in parameters.items()
            if words
        ]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the client alone."""
    return python_environment(tmp_path_factory.mktemp("python"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packed client alone."""
    return node_project(tmp_path_factory.mktemp("node"))


@pytest.fixture(scope="module")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TypeScript compiler."""
    return typescript_compiler(tmp_path_factory.mktemp("tsc"))


def refused_lines(text: str) -> set[int]:
    return {number for number, line in enumerate(text.splitlines(), 1) if line.endswith(" refused")}


def judged(command: list[str | Path], directory: Path) -> str:
    """What a type checker prints. No file of the checkout is known to it."""
    done = subprocess.run(command, cwd=directory, env={}, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


def judged_by_mypy(python: Path, text: str, directory: Path) -> str:
    (directory / "user.py").write_text(text)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", "cache"]
    return judged([*mypy, "--python-executable", python, "user.py"], directory)


def judged_by_tsc(compiler: Path, text: str, project: Path) -> str:
    (project / "user.mts").write_text(text)
    strict = ["--strict", "--noUncheckedIndexedAccess"]
    options = ["--noEmit", "--module", "nodenext", "--target", "es2023", "--lib", "es2023,dom", *strict]
    return judged([node(), compiler, *options, "user.mts"], project)


def test_the_wheel_answers_in_an_empty_environment(python: Path, tmp_path: Path) -> None:
    """With nothing but what it says that it needs."""
    with scripted(*[Reply(200, metrics())] * 2) as server:
        source = (
            "import asyncio, kraiter\n"
            f"with kraiter.Kraiter('k', '{server.url}') as client:\n"
            "    print(client.metrics.get().totals.sent)\n"
            "async def main():\n"
            f"    async with kraiter.AsyncKraiter('k', '{server.url}') as client:\n"
            "        print((await client.metrics.get()).rows()[0]['sent'])\n"
            "asyncio.run(main())\n"
            "print(kraiter.__file__)"
        )
        *counts, file = run([python, "-I", "-W", "error", "-c", source], tmp_path).split()
    assert counts == ["10", "10"]
    assert Path(file).is_relative_to(python.parents[1])


def test_the_packed_client_answers_in_an_empty_folder(project: Path) -> None:
    with scripted(Reply(200, metrics())) as server:
        source = (
            'import { Kraiter, rows } from "kraiter";\n'
            f'const kraiter = new Kraiter({{ apiKey: "k", baseUrl: "{server.url}" }});\n'
            "console.log(rows(await kraiter.metrics.get())[0].sent);\n"
        )
        assert run([node(), "--input-type=module", "--eval", source], project) == "10\n"
    packed = {str(path.relative_to(project)) for path in project.glob("node_modules/*/*")}
    assert packed == {f"node_modules/kraiter/{name}" for name in ("README.md", "package.json", "src")}


def test_mypy_knows_what_there_is(python: Path, tmp_path: Path) -> None:
    said = judged_by_mypy(python, TYPED_PYTHON, tmp_path)
    found = {int(line) for line in re.findall(r"^user\.py:(\d+): error", said, re.MULTILINE)}
    assert found == refused_lines(TYPED_PYTHON), said


def test_tsc_knows_what_there_is(compiler: Path, project: Path) -> None:
    said = judged_by_tsc(compiler, TYPED_TYPESCRIPT, project)
    found = {int(line) for line in re.findall(r"^user\.mts\((\d+),", said, re.MULTILINE)}
    assert found == refused_lines(TYPED_TYPESCRIPT), said


def test_tsc_knows_what_the_api_describes(compiler: Path, project: Path) -> None:
    """Each operation, parameter and word, and no other."""
    assert judged_by_tsc(compiler, described_typescript(), project) == ""


def test_the_python_examples_are_typed(python: Path, tmp_path: Path) -> None:
    for example in blocks("python"):
        assert judged_by_mypy(python, example, tmp_path).startswith("Success")


def test_the_typescript_examples_are_typed(compiler: Path, project: Path) -> None:
    for example in blocks("typescript"):
        assert judged_by_tsc(compiler, example, project) == ""
