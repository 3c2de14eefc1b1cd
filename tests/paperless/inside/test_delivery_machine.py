"""Random histories of work on a real PostgreSQL: each piece ends exactly once.

The rows are the real ones; broker, workers and clock are those of the test. A worker may be killed
or frozen at any moment, messages may be lost or doubled, and frozen workers come back. They write
files, under names that others want too, and what they do not commit the real sweeper removes.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from django.db import connection

if connection.vendor != "postgresql":
    pytest.skip("a fleet needs PostgreSQL", allow_module_level=True)

import itertools
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from documents.models import Document
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.paperless.inside.stores import memory

from paperfleet.paperless.delivery import current, owner, removal, rows, states, written
from paperfleet.paperless.delivery.current import Attempt, AttemptOverError
from paperfleet.paperless.delivery.message import Message
from paperfleet.paperless.delivery.rows import StagedFile
from paperfleet.paperless.delivery.states import (
    DeliveryLimits,
    Discard,
    Expire,
    Fence,
    Offer,
    decide,
)
from paperfleet.paperless.delivery.tasks import CONSUME
from paperfleet.paperless.documents.intents import Intent
from paperfleet.paperless.models import Work, Written

if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperfleet.paperless.delivery.rows import Claim

LIMITS = DeliveryLimits(deaths=4)


@dataclass
class Worker:
    """An attempt as its process knows it; ``document`` what it has committed.

    ``intent`` is the file that it noted last; ``is_stored`` says whether that was written.
    """

    claim: Claim
    document: int | None = None
    intent: Intent | None = None
    content: bytes = b""
    is_stored: bool = False


@contextmanager
def noting(claim: Claim) -> Iterator[written.Notes]:
    """Keep notes as a process does that runs an attempt."""
    attempt = Attempt(claim)
    with current.running(attempt), attempt.until_end:
        yield written.Notes()


def message(task_id: str) -> Message:
    headers = {"id": task_id, "task": CONSUME, "expires": None}
    envelope = {"headers": headers, "routing_key": "celery", "content_type": "x"}
    return Message(b"body", envelope)


def staged(task_id: str) -> list[StagedFile]:
    memory.files[f"staging/{task_id}/0"] = b"a"
    return [StagedFile(f"staging/{task_id}/0", "/scratch/a", 1, "00", 0)]


class Fleet(RuleBasedStateMachine):
    """What the test knows: messages, the workers that live or are frozen, and what came of it."""

    def __init__(self) -> None:
        super().__init__()
        Work.objects.all().delete()
        Written.objects.all().delete()
        Document.global_objects.all().delete()
        memory.files.clear()
        self.named: dict[str, bytes] = {}
        self.unnoted: set[str] = set()
        self.queue: list[str] = []
        self.workers: list[Worker] = []
        self.made: dict[str, list[int]] = {}
        self.ended: dict[str, list[str]] = {}
        self.children: dict[str, tuple[str, int]] = {}
        self.published: set[str] = set()
        self.numbers = itertools.count()

    def new_name(self) -> str:
        return f"{next(self.numbers):03}"

    def a_worker(self, data: st.DataObject) -> Worker:
        return data.draw(st.sampled_from(self.workers))

    def leaving(self, data: st.DataObject) -> Worker:
        worker = self.a_worker(data)
        self.workers.remove(worker)
        return worker

    @rule(is_lost=st.booleans())
    def publish(self, *, is_lost: bool) -> None:
        """Publish; ``is_lost`` is a process that dies between row and message."""
        task_id = self.new_name()
        rows.add(message(task_id), staged(task_id))
        self.published.add(task_id)
        if not is_lost:
            self.queue.append(task_id)

    @precondition(lambda self: self.queue)
    @rule()
    def redis_comes_back_empty(self) -> None:
        self.queue.clear()

    @precondition(lambda self: self.published)
    @rule(data=st.data())
    def a_message_is_doubled(self, data: st.DataObject) -> None:
        self.queue.append(data.draw(st.sampled_from(sorted(self.published))))

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def a_worker_takes_a_message(self, data: st.DataObject) -> None:
        task_id = self.queue.pop(data.draw(st.integers(0, len(self.queue) - 1)))
        claim = rows.claim(task_id, LIMITS)
        if claim:
            self.workers.append(Worker(claim))

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def a_heartbeat(self, data: st.DataObject) -> None:
        worker = self.a_worker(data)
        rows.beat(worker.claim.task_id, worker.claim.attempt)

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def it_publishes(self, data: st.DataObject) -> None:
        """Publish a part, as a barcode split does."""
        worker = self.a_worker(data)
        if worker.document or worker.claim.document or worker.claim.reason:
            return
        child, parent = self.new_name(), (worker.claim.task_id, worker.claim.attempt)
        rows.add(message(child), staged(child), parent=parent)
        self.children[child] = parent

    def files(self) -> list[str]:
        return [name for name in memory.files if name.startswith("originals/")]

    def free_name(self, wanted: str) -> str:
        """Return the first name that is free, as paperless-ngx does."""
        names = (f"{wanted}{number or ''}.pdf" for number in itertools.count())
        return next(name for name in names if f"originals/{name}" not in memory.files)

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), wanted=st.sampled_from("ab"), is_late=st.booleans())
    def it_writes_a_file(self, data: st.DataObject, wanted: str, *, is_late: bool) -> None:
        """Note a file and write it; with ``is_late`` the request is under way for a while."""
        worker = self.a_worker(data)
        if worker.intent or worker.document or worker.claim.document or worker.claim.reason:
            return
        content = f"{worker.claim.task_id} {next(self.numbers)}".encode()
        digest = hashlib.sha256(content).hexdigest()
        name = self.free_name(wanted)
        intent = Intent(uuid.uuid4(), "originals", name, len(content), digest)
        with noting(worker.claim) as notes, transaction.atomic(), suppress(AttemptOverError):
            notes.note(intent)
            worker.intent, worker.content, worker.is_stored = intent, content, False
        if not is_late:
            self.store(worker)

    @precondition(lambda self: any(one.intent and not one.is_stored for one in self.workers))
    @rule(data=st.data())
    def a_late_request_arrives(self, data: st.DataObject) -> None:
        ready = [one for one in self.workers if one.intent and not one.is_stored]
        self.store(data.draw(st.sampled_from(ready)))

    def store(self, worker: Worker) -> None:
        """Write what was noted, only where the name is still free."""
        if worker.intent is None:
            return
        place = f"originals/{worker.intent.name}"
        if place not in memory.files:
            memory.files[place] = worker.content
            worker.is_stored = True
            return
        with noting(worker.claim) as notes:
            notes.withdraw(worker.intent)
        worker.intent = None

    @precondition(lambda self: any(one.is_stored for one in self.workers))
    @rule(data=st.data())
    def it_rolls_back(self, data: st.DataObject) -> None:
        self.roll_back(data.draw(st.sampled_from([one for one in self.workers if one.is_stored])))

    def roll_back(self, worker: Worker) -> None:
        if worker.intent and worker.is_stored:
            with noting(worker.claim) as notes:
                notes.left(worker.intent)
        worker.intent, worker.is_stored = None, False

    @rule(wanted=st.sampled_from("ab"))
    def somebody_else_makes_a_document(self, wanted: str) -> None:
        self.name_it(self.free_name(wanted), f"of {next(self.numbers)}".encode(), is_written=False)

    def name_it(self, name: str, content: bytes, *, is_written: bool) -> None:
        digest = hashlib.sha256(content).hexdigest()
        Document.objects.bulk_create([Document(title=name, filename=name, checksum=digest)])
        if not is_written:
            memory.files[f"originals/{name}"] = content
        self.named[f"originals/{name}"] = content

    @rule()
    def the_sweeper_removes_files(self) -> None:
        removal.settle(0)

    @invariant()
    def every_document_has_its_file(self) -> None:
        assert {name: memory.files.get(name) for name in self.named} == self.named

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def it_commits_a_document(self, data: st.DataObject) -> None:
        self.commit(self.a_worker(data))

    def commit(self, worker: Worker) -> None:
        claim = worker.claim
        if worker.document or claim.document or claim.reason:
            return
        number = len(self.made.get(claim.task_id, [])) + 1
        intent = worker.intent if worker.is_stored else None
        with transaction.atomic():
            released = rows.fence(claim, number)
            if released is not None and intent:
                assert written.forget({intent.number}), "the row alone says who is over"
                self.name_it(intent.name, worker.content, is_written=True)
        if released is None:
            self.roll_back(worker)
        else:
            worker.intent, worker.is_stored = None, False
            self.published.update(released)
            self.queue += released
            worker.document = number
            self.made.setdefault(claim.task_id, []).append(number)

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), fails=st.booleans())
    def it_ends(self, data: st.DataObject, *, fails: bool) -> None:
        self.end(self.leaving(data), fails=fails)

    def end(self, worker: Worker, *, fails: bool) -> None:
        claim = worker.claim
        if fails or claim.reason:
            self.roll_back(worker)
        fails = bool(claim.reason) or (fails and not (worker.document or claim.document))
        if not fails:
            self.commit(worker)
            if not (worker.document or claim.document):
                return  # fenced: the attempt ends unseen
        children = rows.finish(claim, failure="broken" if fails else "", keep=fails)
        if children is not None:
            self.ended.setdefault(claim.task_id, []).append("failure" if fails else "success")
            self.published.update(children)
            self.queue += children

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def it_is_cut_off_and_comes_back(self, data: st.DataObject) -> None:
        """Let another worker have its task meanwhile: both go on from here."""
        claim = self.a_worker(data).claim
        past = timedelta(seconds=50)
        Work.objects.filter(task_id=claim.task_id).update(heartbeat=F("heartbeat") - past)
        self.a_sweep()
        if claim.task_id in self.queue:
            self.queue.remove(claim.task_id)
            other = rows.claim(claim.task_id, LIMITS)
            if other:
                self.workers.append(Worker(other))

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def it_dies(self, data: st.DataObject) -> None:
        """Let nothing of its process be heard again."""
        worker = self.leaving(data)
        intent = worker.intent if worker.is_stored else None
        if intent and not Written.objects.filter(number=intent.number).exists():
            # Written long after its attempt was over, and then killed: nobody knows of it.
            self.unnoted.add(f"originals/{intent.name}")

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def it_dies_where_others_see_it(self, data: st.DataObject) -> None:
        """Let its message come back to another child of the same host at once."""
        worker = self.leaving(data)
        self.roll_back(worker)
        claim = worker.claim
        mine = Work.objects.filter(
            task_id=claim.task_id, attempt=claim.attempt, state=states.RUNNING
        )
        if mine.update(owner=gone()):
            self.queue.append(claim.task_id)

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def it_gives_back(self, data: st.DataObject) -> None:
        worker = self.leaving(data)
        self.roll_back(worker)
        rows.wait_again(worker.claim, died=True)

    @rule(seconds=st.sampled_from([10.0, 50.0, 70.0]), is_swept=st.booleans())
    def time_passes(self, seconds: float, *, is_swept: bool) -> None:
        past = timedelta(seconds=seconds)
        Work.objects.update(heartbeat=F("heartbeat") - past, offered=F("offered") - past)
        if is_swept:
            self.a_sweep()

    @rule()
    def a_sweep(self) -> None:
        for action in decide(rows.survey(), frozenset(self.queue), LIMITS):
            match action:
                case Fence(task_id, attempt, reason):
                    if rows.take_from_owner(task_id, attempt, reason, LIMITS.silence):
                        self.queue.append(task_id)
                case Offer(task_id):
                    rows.offered(task_id)
                    self.queue.append(task_id)
                case Discard(task_id) | Expire(task_id):
                    rows.remove(task_id, states.HELD)

    @invariant()
    def no_document_is_made_twice_and_nothing_ends_twice(self) -> None:
        assert all(len(numbers) == 1 for numbers in self.made.values())
        assert all(len(ends) == 1 for ends in self.ended.values())

    @invariant()
    def nothing_is_lost(self) -> None:
        """See that what was published has a row, or has ended."""
        there = set(Work.objects.values_list("task_id", flat=True))
        assert self.published <= there | self.ended.keys()

    def teardown(self) -> None:
        """Let healthy workers and the sweeper do what is left, and frozen ones come back."""
        for _ in range(2 * LIMITS.deaths):
            self.time_passes(70.0, is_swept=True)
            while self.queue:
                claim = rows.claim(self.queue.pop(), LIMITS)
                if claim:
                    self.end(Worker(claim), fails=False)
            while self.workers:
                self.end(self.workers.pop(), fails=False)
        removal.settle(0)
        assert not Written.objects.exists()
        assert set(self.files()) - self.unnoted <= self.named.keys()
        self.every_document_has_its_file()
        assert not Work.objects.exclude(state=states.FAILED).exists()
        assert self.ended.keys() == self.published
        self.no_document_is_made_twice_and_nothing_ends_twice()
        for task, ends in self.ended.items():
            assert (ends == ["success"]) == (task in self.made)
        # Parts are those of one attempt.
        parents = {self.children[child] for child in self.published if child in self.children}
        assert len(parents) == len({task_id for task_id, _ in parents})


def gone() -> str:
    """Return the name of a process of this host that has ended."""
    parts = owner.this_process().split("|")
    return "|".join([*parts[:3], "999999999", "1"])


Fleet.TestCase.settings = settings(
    max_examples={"soak": 1000, "quick": 15}.get(os.environ.get("HYPOTHESIS_PROFILE", ""), 100),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestFleet = Fleet.TestCase
