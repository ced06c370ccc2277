"""Faults planted in a copy of the project: each line of the protocol that must not go missing, gone missing.

A mutation names the text that it replaces, which must stand exactly once in its file: a change of the project
that moves the line fails here, and not in silence. `case` is the test that must turn red, in this folder or,
where it begins with `tests/`, from the project's root; `because` is a word of its failure, so that it does
not fail for another reason. Long because it is one table.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import arena
from tests.pipeline.programs import CHECKOUT

PARTS = ("aggregator", "api", "ingest", "schemas", "deploy", "tests", "pyproject.toml")
LIMIT_S = 120


@dataclass(frozen=True)
class Edit:
    """One replacement in a file, named from the project's root."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutation:
    """One way to break the project, and the case that sees it."""

    name: str
    edits: tuple[Edit, ...]
    case: str
    because: str


MUTATIONS = (
    Mutation(
        "the checkpoint check: a gap is not answered",
        (Edit("aggregator/counters/apply.lua", "if checkpoint < prev then return", "if false then return"),),
        "test_targeted.py::test_a_rollback_that_no_connection_notices",
        "lost 300, double 0",
    ),
    Mutation(
        "prev is taken from answers, not from what was read",
        (
            Edit(
                "aggregator/counting/checkpoints.py",
                "                self._prev[lane] = end\n        return counted",
                "        return counted",
            ),
            Edit(
                "aggregator/counting/checkpoints.py",
                "        self._prev[lane] = end\n        return Move",
                "        return Move",
            ),
            Edit(
                "aggregator/worker/assignment.py",
                "            metrics.APPLY_SECONDS.observe",
                "            for lane, spans in pending.backlog.spans.items():\n"
                "                for number, span in spans.items():\n"
                "                    answered = self.partitions.get(number)\n"
                "                    if answered is not None and not self.is_over:\n"
                "                        answered._prev[lane] = max(answered._prev[lane], span.end)\n"
                "            metrics.APPLY_SECONDS.observe",
            ),
        ),
        "test_targeted.py::test_a_rollback_while_an_answer_is_on_its_way",
        "lost 100, double 0",
    ),
    Mutation(
        "reading begins at Kafka's commit",
        (
            Edit(
                "aggregator/worker/worker.py",
                "            await source.rewind(",
                "            committed = await source._ask(source._committed, list(assigned))\n"
                "            for number, partition in assignment.partitions.items():\n"
                "                partition.position = committed[number]\n"
                "            await source.rewind(",
            ),
            Edit(
                "aggregator/log/faust_transport.py",
                "    # In aiokafka's thread\n",
                "    async def _committed(self, numbers: list[int]) -> dict[int, int]:\n"
                "        asked = self._thread._ensure_consumer()\n"
                "        tps = {number: TopicPartition(self._topic, number) for number in numbers}\n"
                "        return {number: await asked.committed(tp) or 0 for number, tp in tps.items()}\n\n",
            ),
        ),
        "test_targeted.py::test_a_rollback_that_no_connection_notices",
        "lost 300, double 0",
    ),
    Mutation(
        "no tick",
        (
            Edit(
                "aggregator/worker/worker.py",
                "                await self._ticks.tick(self._source, assignment)\n",
                "                continue\n",
            ),
        ),
        "test_targeted.py::test_a_rollback_of_silent_lanes",
        "rolled back in silence: every cell is right",
    ),
    Mutation(
        "a lane is made on demand",
        (
            Edit(
                "aggregator/counters/apply.lua",
                "if head[1] ~= ARGV[1] or (head[3] and not erasing) then return {'GONE'} end\n"
                "if head[2] ~= ARGV[2] then",
                "if not head[1] then write('HSET', lane, {'generation', ARGV[1], 'rules', ARGV[2]})\n"
                "elseif head[1] ~= ARGV[1] or (head[3] and not erasing) then return {'GONE'} end\n"
                "if head[1] and head[2] ~= ARGV[2] then",
            ),
        ),
        "test_targeted.py::test_wiped_in_the_moment_before_a_call",
        "a wiped Redis holds",
    ),
    Mutation(
        "a dead letter after the checkpoint",
        (
            Edit(
                "aggregator/counters/sink.py",
                "        for partition, dead_letters in pending.dead_letters.items():\n"
                "            self._dead_letters.write(partition, dead_letters)\n"
                "        return self._caller.count(calls)",
                "        applied = self._caller.count(calls)\n"
                "        for partition, dead_letters in pending.dead_letters.items():\n"
                "            self._dead_letters.write(partition, dead_letters)\n        return applied",
            ),
        ),
        "test_targeted.py::test_killed_between_a_dead_letter_and_its_move[after]",
        "dead letters are missing",
    ),
    Mutation(
        "a value that is too large is not cut",
        (
            Edit(
                "aggregator/counting/reading.py",
                "None if value is None else value[:CUT_VALUE_BYTES]",
                "value",
            ),
        ),
        "test_targeted.py::test_a_record_larger_than_any_may_be",
        "still waiting after 15 s: every checkpoint",
    ),
    Mutation(
        "the earliest quarter of an hour: what came first stays",
        (
            Edit(
                "aggregator/counters/apply.lua",
                "local quarter = math.max(one, other) - 1",
                "local quarter = other - 1",
            ),
            Edit(
                "aggregator/counters/apply.lua",
                "if one < other then quarters[r] = one end",
                "quarters[r] = one",
            ),
        ),
        "test_targeted.py::test_the_earliest_hour_wins",
        "lost 2, double 2",
    ),
    Mutation(
        "a stale copy of a key undoes its revocation",
        (
            Edit(
                "api/keys/table.py",
                "        self._records[key_id] = record\n",
                "        self._records[key_id] = record\n"
                "        if record.revoked_ms is None:\n"
                "            self._revoked_ms.pop(key_id, None)\n",
            ),
        ),
        "tests/api/keys/test_table.py::test_a_stale_copy_of_a_key_does_not_undo_its_revocation",
        "a revoked key lives again",
    ),
    Mutation(
        "what is taken back is written fact by fact",
        (
            Edit(
                "aggregator/counters/apply.lua",
                "    cells[cell] = (cells[cell] or 0) + 1\n",
                "    tails[at] = tails[at] .. items({[cell] = -1})\n",
            ),
        ),
        "tests/aggregator/counters/test_apply.py::test_what_a_call_costs_grows_with_its_facts_and_not_faster",
        "Timeout reading from socket",
    ),
    Mutation(
        "checks stand before the next batch",
        (
            Edit(
                "aggregator/worker/worker.py",
                'ThreadPoolExecutor(1, thread_name_prefix="checks")',
                "live._thread",
            ),
        ),
        "test_targeted.py::test_late_answers_to_checks_do_not_hold_up_counting[kafka]",
        "every checkpoint is at",
    ),
    Mutation(
        "the tags that are remembered have no bound",
        (
            Edit(
                "aggregator/counting/decode.py",
                "if self._bytes + size > SCOPES_KEPT_BYTES:",
                "if size > SCOPES_KEPT_BYTES:",
            ),
        ),
        "tests/aggregator/counting/test_decode.py::test_what_a_decoder_remembers_has_a_bound_in_bytes",
        "< 500000",
    ),
    Mutation(
        "a lost switch is not seen in the lanes",
        (Edit("api/counters/closed_lanes.py", "        if succeeded:\n            return False\n", ""),),
        "test_generations.py::test_a_switch_that_redis_lost[generations restore]",
        "frozen numbers were answered",
    ),
    Mutation(
        "what a dead rebuild closed stays closed",
        (Edit("aggregator/worker/live.py", "            self._store.open_again(generation)\n", ""),),
        "test_generations.py::test_killed_before_the_switch",
        "every checkpoint is at",
    ),
    Mutation(
        "whichever generation is gone is taken for the live one",
        (
            Edit(
                "aggregator/rebuild/following.py",
                "        if error.generation != live.name:\n            raise\n",
                "",
            ),
        ),
        "test_generations.py::test_a_lost_lane_of_the_new_generation_is_not_the_live_ones[comparing]",
        "the good generation was closed for it",
    ),
    Mutation(
        "a new lane passes a live one that is not compared yet",
        (
            Edit(
                "aggregator/rebuild/regrouping.py",
                "min(lane[number] for lane in live_lanes)",
                "max(lane[number] for lane in live_lanes)",
            ),
        ),
        "tests/aggregator/rebuild/test_regrouping.py"
        "::test_each_live_lane_is_compared_where_it_stands_and_none_is_passed",
        "a live lane was passed",
    ),
    Mutation(
        "what was counted ahead is taken for safe",
        (
            Edit(
                "aggregator/rebuild/regrouping.py",
                "                wanted[number] += events[:passed]\n",
                "                known = _place(events, self._counted[live_lane][number])\n"
                "                first = 0 if live_lane in before else known\n"
                "                wanted[number] += events[first:passed]\n",
            ),
        ),
        "tests/aggregator/rebuild/test_regrouping.py"
        "::test_what_was_counted_ahead_is_counted_again_with_the_move_that_passes_it",
        "a checkpoint passes what is not with it",
    ),
    Mutation(
        "kinds are not compared",
        (Edit("schemas/counters.py", " and self.has_our_kinds and", " and"),),
        "tests/api/counters/test_reader.py::test_a_record_that_is_missing_or_unknown_is_unavailable",
        "DID NOT RAISE",
    ),
    Mutation(
        "a fatal error of the producer is passed over in silence",
        (Edit("ingest/log/publish.py", "self._broken, self._cause = producer, error", "pass"),),
        "tests/ingest/log/test_kafka.py::test_a_producer_may_break_for_good_while_kafka_is_away",
        "AssertionError: the producer is not replaced",
    ),
    Mutation(
        "a message of one tenant is taken for another's",
        (
            Edit(
                "aggregator/counting/states.py",
                "_encode((scopes.tenant, message_id, of))",
                "_encode((message_id, of))",
            ),
        ),
        "tests/aggregator/counters/test_apply.py::test_a_message_id_of_two_tenants_is_of_two_messages",
        "2 != 1",
    ),
    Mutation(
        "a mail that SES did not try to deliver is a hard bounce too",
        (
            Edit(
                "schemas/kinds.py",
                '(_PERMANENT, Condition(("bounce_sub_type",), _NOT_ATTEMPTED, among=False))',
                "(_PERMANENT,)",
            ),
        ),
        "tests/aggregator/counting/test_decode.py::test_a_bounce_is_of_exactly_one_sort",
        "bounced_hard",
    ),
    Mutation(
        "what is taken back of one family is taken from another",
        (
            Edit(
                "aggregator/counters/apply.lua",
                "char(day % BLOCK_DAYS + BLOCK_DAYS * family), quarter",
                "char(day % BLOCK_DAYS), quarter",
            ),
        ),
        "tests/aggregator/counters/test_apply.py::test_order_duplicates_and_batches_do_not_matter",
        "assert lane.cells(",
    ),
    Mutation(
        "the numbers of further scopes are one too high",
        (
            Edit(
                "aggregator/counting/pack.py",
                "enumerate(ids, TENANT_SCOPE + 1)",
                "enumerate(ids, TENANT_SCOPE + 2)",
            ),
        ),
        "tests/aggregator/counters/test_apply.py::test_known_ids_are_those_that_a_fact_counted_for",
        "== sorted(ids)",
    ),
    Mutation(
        "the quarter of an hour is forgotten",
        (
            Edit(
                "aggregator/counting/states.py",
                "cell_bytes(quarter, place)",
                "cell_bytes(quarter // 4 * 4, place)",
            ),
        ),
        "tests/aggregator/counters/test_apply.py::test_order_duplicates_and_batches_do_not_matter",
        "assert lane.cells(",
    ),
    Mutation(
        "known ids stand in the order in which they came",
        (
            Edit(
                "aggregator/counters/apply.lua",
                "      known[#known + 1] = 0\n      known[#known + 1] = sub(name, 2)\n",
                "      known[#known + 1] = i\n      known[#known + 1] = sub(name, 2)\n",
            ),
        ),
        "tests/aggregator/counters/test_apply.py::test_known_ids_are_those_that_a_fact_counted_for",
        "== sorted(ids)",
    ),
    Mutation(
        "the ids of all scopes are taken for those of one",
        (
            Edit(
                "aggregator/counters/apply.lua",
                "call('ZLEXCOUNT', known, '[' .. char(scope), '(' .. char(scope + 1))",
                "call('ZCARD', known)",
            ),
        ),
        "tests/aggregator/counters/test_apply.py::test_scopes_with_many_ids_are_reported_with_their_number",
        "1001",
    ),
    Mutation(
        "keys are not looked at before the first is written",
        (
            Edit(
                "aggregator/counters/apply.lua",
                "for from = 1, #keys, SLICE do call('EXISTS', lane,"
                " unpack(keys, from, math.min(from + SLICE - 1, #keys))) end\n",
                "",
            ),
        ),
        "tests/aggregator/counters/test_moving_slot.py::test_a_key_that_is_left_alone[the same again]",
        "it wrote what had not moved yet",
    ),
    Mutation(
        "the API reads what has not come yet as nothing",
        (Edit("api/counters/read.lua", "touch({known})\n", ""),),
        "tests/api/counters/test_moving_slot.py::test_all_is_read_or_nothing",
        "was left alone",
    ),
    Mutation(
        "the API does not watch what it has read of an answer",
        (Edit("api/counters/long/pieces.py", ".ask(*watch, self._command(", ".ask(self._command("),),
        "tests/api/counters/long/test_pieces.py::test_an_answer_is_what_was_true_before_a_change_or_after[move]",
        "move before call",
    ),
    Mutation(
        "the API does not watch wide counters",
        (
            Edit(
                "api/counters/long/pieces.py",
                "return counters_key(*of), wide_counters_key(*of)",
                "return counters_key(*of), counters_key(*of)",
            ),
        ),
        "tests/api/counters/long/test_pieces.py::test_an_answer_is_what_was_true_before_a_change_or_after[grow]",
        "grow before call",
    ),
    Mutation(
        "the API does not watch which blocks there are",
        (Edit("api/counters/long/pieces.py", '        await self.connection.ask(("WATCH", known))\n', ""),),
        "tests/api/counters/long/test_pieces.py::test_an_answer_is_what_was_true_before_a_change_or_after[appear]",
        "appear before call",
    ),
    Mutation(
        "verify does not watch what it has read of a tenant",
        (
            Edit(
                "aggregator/counters/snapshots/pieces.py",
                "self._redis.watch(*keys)",
                "self._redis.watch(keys[1])",
            ),
        ),
        "tests/aggregator/counters/test_pieces.py::test_it_is_of_one_moment[an old counter-1]",
        "assert Snapshot(",
    ),
    Mutation(
        "verify does not watch which blocks and ids there are",
        (
            Edit(
                "aggregator/counters/snapshots/pieces.py", "self._redis.watch(known)", 'self._redis.watch("")'
            ),
        ),
        "tests/aggregator/counters/test_pieces.py::test_it_is_of_one_moment[a new id-1]",
        "assert Snapshot(",
    ),
    Mutation(
        "a log without its beginning speaks for opens after three days",
        (Edit("aggregator/log/coverage.py", "else kind.horizon.late_ms)", "else 3 * DAY_MS)"),),
        "tests/aggregator/log/test_coverage.py::test_the_log_is_right_wherever_it_speaks",
        "Cell(tenant='acme'",
    ),
    Mutation(
        "the law in SQL counts a fact at the last quarter of an hour told of it",
        (Edit("aggregator/proof/law.sql", "min(at_ms) AS at_ms", "max(at_ms) AS at_ms"),),
        "tests/aggregator/proof/test_law.py::test_a_stream_comes_to_the_same_cells_for_all_who_count_it[61]",
        "assert Counter(",
    ),
    Mutation(
        "the law in SQL forgets the day of the send",
        (
            Edit(
                "aggregator/proof/law.sql",
                "GROUP BY tenant, ids, day, message_id, recipient, field",
                "GROUP BY tenant, ids, message_id, recipient, field",
            ),
        ),
        "tests/aggregator/proof/test_law.py::test_a_message_id_of_two_days_is_of_two_mails",
        "assert Counter(",
    ),
    Mutation(
        "the law in SQL has one horizon for all kinds",
        (
            Edit(
                "aggregator/proof/law.sql",
                "fact_ms - sent_ms <= late_ms",
                "fact_ms - sent_ms <= (SELECT max(late_ms) FROM kinds)",
            ),
        ),
        "tests/aggregator/proof/test_law.py::test_a_stream_comes_to_the_same_cells_for_all_who_count_it[61]",
        "only-told-too-late",
    ),
    Mutation(
        "a fact's repetitions are counted in different pieces",
        (Edit("aggregator/proof/recount.py", "hash(message_id, recipient,", 'hash("offset", recipient,'),),
        "tests/aggregator/proof/test_recount.py::test_piece_by_piece_it_comes_to_the_same",
        "assert Counter(",
    ),
    Mutation(
        "the law in SQL takes what came after a tenant's checkpoint",
        (Edit("aggregator/proof/law.sql", '"offset" < coalesce(', '"offset" <= coalesce('),),
        "tests/aggregator/proof/test_law.py::test_only_what_is_below_the_checkpoints_of_its_tenant_counts",
        "assert Counter(",
    ),
    Mutation(
        "the law in SQL erases all but the last record of an erasure's time",
        (Edit("aggregator/proof/law.sql", "OR record_ms > through", "OR record_ms >= through"),),
        "tests/aggregator/proof/test_law.py::test_of_erased_tenants_what_came_later_counts_and_no_more",
        "assert Counter(",
    ),
    Mutation(
        "the law in SQL takes the first of equal tags",
        (
            Edit(
                "aggregator/proof/law.sql",
                "arg_max(value, id) AS value, json_type(arg_max(value, id))",
                "arg_min(value, id) AS value, json_type(arg_min(value, id))",
            ),
        ),
        "tests/aggregator/proof/test_law_records.py::test_each_odd_tag_states_the_same",
        "assert set() == {",
    ),
    Mutation(
        "the law in SQL takes machines for people",
        (Edit("aggregator/proof/law.sql", "AND NOT (by_people AND by_machine)", ""),),
        "tests/aggregator/proof/test_law.py::test_a_stream_comes_to_the_same_cells_for_all_who_count_it[61]",
        "opened_human",
    ),
    Mutation(
        "a rebuild loses live counters untold",
        (Edit("aggregator/rebuild/rebuild.py", "if plan.losses and not lose:", "if False:"),),
        "tests/pipeline/test_truncated.py"
        "::test_a_rebuild_says_what_it_would_lose_and_loses_it_only_when_told",
        "assert 0 == 1",
    ),
    Mutation(
        "who knows of another erasure counts all the same",
        (Edit("aggregator/counters/apply.lua", "if head[2] ~= ARGV[2] then", "if false then"),),
        "tests/aggregator/counters/test_erasing.py::test_a_call_of_other_erasures_does_nothing",
        "[b'ERASED']",
    ),
    Mutation(
        "what is later than an erasure is not counted again",
        (
            Edit(
                "aggregator/erasure/take_in.py",
                "self._later_facts(generation, tenants, held.checkpoints, erasures) if recount else []",
                "[]",
            ),
        ),
        "tests/aggregator/erasure/test_take_in.py"
        "::test_an_old_erasure_is_not_taken_in_by_a_log_that_lost_its_beginning",
        "rebuild",
    ),
    Mutation(
        "what is remembered of an erased tenant is found again",
        (Edit("aggregator/counting/states.py", "else (scopes.ids, erased.number)", "else scopes.ids"),),
        "tests/aggregator/counters/test_erasing.py::test_all_of_a_tenant_goes_and_nothing_else",
        "[b'OK', 0, []]",
    ),
    Mutation(
        "the last record of an erasure's time still counts",
        (
            Edit(
                "aggregator/counting/decode.py",
                "record_ms <= erased.through_ms",
                "record_ms < erased.through_ms",
            ),
        ),
        "tests/aggregator/counting/test_erasures.py"
        "::test_an_erased_record_states_nothing_and_all_others_what_they_did",
        "erased",
    ),
    Mutation(
        "a hole of the archive is passed over",
        (
            Edit(
                "aggregator/history/spans.py", "if first <= topic_first <= next_:", "if first <= topic_first:"
            ),
        ),
        "tests/aggregator/history/test_spans.py::test_history_begins_where_nothing_is_missing_any_more",
        "Extra items in the left set",
    ),
    Mutation(
        "the archive brings an erased tenant back",
        (
            Edit(
                "aggregator/history/reader.py", "SlimLaw(self._rules, self._erasures)", "SlimLaw(self._rules)"
            ),
        ),
        "tests/aggregator/history/test_reader.py::test_what_is_erased_states_nothing_wherever_it_is_read",
        "assert [0, 1",
    ),
    Mutation(
        "what came too late counts where it is read from the archive",
        (Edit("aggregator/history/plain.py", "        (pc.subtract(fact, sent), late),\n", ""),),
        "tests/aggregator/history/test_plain.py::test_up_to_its_bounds_a_row_is_plain_and_not_beyond",
        "Skipped.LATE",
    ),
    Mutation(
        "a rebuild reads from the archive what has no dead letter yet",
        (Edit("aggregator/history/spans.py", "if topic_from is not None:", "if False:"),),
        "tests/aggregator/history/test_reader.py"
        "::test_from_where_dead_letters_may_be_missing_the_topic_is_read",
        "assert [30, 31",
    ),
    Mutation(
        "an upload stands in its place before it is whole",
        (
            Edit(
                "aggregator/archive/store.py",
                'uploaded = f"{self._root}/{UPLOADED}/{path.name}"',
                "uploaded = target",
            ),
        ),
        "tests/aggregator/archive/test_files.py::test_an_upload_that_was_cut_short_leaves_no_file",
        "assert [File(",
    ),
    Mutation(
        "parts of two files of the archive mix",
        (
            Edit(
                "aggregator/archive/store.py",
                "if self._fs.open_input_file(self._path).metadata() != self._said:",
                "if False:",
            ),
        ),
        "tests/aggregator/archive/test_store.py"
        "::test_a_file_that_is_replaced_while_it_is_read_is_read_on_exactly",
        "BrokenFileError",
    ),
    Mutation(
        "what is merged goes before what it became is in place",
        (
            Edit(
                "aggregator/archive/merge.py",
                "        return store.put(writer.path,",
                "        for each in run:\n            store.remove(each)\n"
                "        return store.put(writer.path,",
            ),
        ),
        "tests/aggregator/archive/test_merge.py"
        "::test_stopped_before_the_old_ones_are_removed_nothing_is_lost",
        "assert {File(",
    ),
    Mutation(
        "the archive begins where the topic does, and not where it ended",
        (
            Edit(
                "aggregator/archive/archiver.py",
                "span = uncovered(files, start)",
                "span = uncovered([], start)",
            ),
        ),
        "tests/pipeline/test_archive.py::test_a_hole_is_found_and_filled_while_the_topic_has_it",
        "assert status == 1",
    ),
    Mutation(
        "two files of the archive may say different things",
        (Edit("aggregator/archive/check.py", "if mine != theirs:", "if False:"),),
        "tests/pipeline/test_archive.py::test_faults_of_an_archive_are_named",
        "('disagreement', 0)",
    ),
    Mutation(
        "the topic is trimmed of what is not counted",
        (Edit("aggregator/archive/trim.py", "counted.get(number, 0)", "old[number]"),),
        "tests/pipeline/test_archive.py::test_only_what_is_archived_counted_and_old_is_trimmed",
        "nothing is counted",
    ),
    Mutation(
        "a share that is given away is taken for counted",
        (
            Edit(
                "aggregator/bulk/count.py",
                "                break\n        else:\n",
                "                break\n        if True:\n",
            ),
        ),
        "tests/aggregator/bulk/test_count.py::test_what_is_left_early_is_counted_as_far_as_it_was_read[7-7]",
        "it passes what is not counted",
    ),
)


def plant(mutation: Mutation | None, tree: Path) -> None:
    """Copy the project to a directory and break the copy. Raises ValueError where the text is not there."""
    for part in PARTS:
        source = CHECKOUT / part
        if source.is_dir():
            shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / part)
    for edit in mutation.edits if mutation else ():
        file = tree / edit.file
        text = file.read_text()
        if text.count(edit.old) != 1:
            raise ValueError(f"{edit.file} holds {text.count(edit.old)} times: {edit.old}")
        text = text.replace(edit.old, edit.new)
        if file.suffix == ".py":
            compile(text, str(file), "exec")
        file.write_text(text)


def run(case: str, tree: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a case on a copy of the project: pytest's exit status, and all that it says."""
    path = case if case.startswith("tests/") else f"tests/chaos/{case}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=short", path],
        cwd=tree,
        env={
            **os.environ,
            **environment,
            "PYTHONPATH": str(tree),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # no case needs one, and they take a third of the start
            "TEST_PROFILE": "planted",
            "CHAOS_LIMIT_S": str(min(15.0, arena.LIMIT_S)),
        },
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr
