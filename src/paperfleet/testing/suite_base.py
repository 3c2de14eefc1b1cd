"""What the suites share: declared exceptions, and the storage suite's fixtures and helpers."""

from __future__ import annotations

import hashlib
import io
from typing import IO, TYPE_CHECKING, ClassVar, cast

import pytest

from paperfleet.model import Upload
from paperfleet.storage.full import full
from paperfleet.storage.wrappers.base import Wrapper

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from paperfleet.storage.protocol import DocumentStorage
    from paperfleet.storage.wrappers.base import EveryAbility
    from paperfleet.testing.bypass import Bypass


class DeclaredExceptions:
    """A suite whose users say which tests do not hold for them, and why."""

    exceptions: ClassVar[Mapping[str, str]] = {}
    """Name of a test, alone or with its parameter in brackets → why it does not hold here."""

    def __init_subclass__(cls) -> None:
        """Refuse exceptions of tests that do not exist, and tests replaced without a reason."""
        super().__init_subclass__()
        inherited = {name for base in cls.__mro__[1:] for name in vars(base)}
        tests = {name for name in inherited if name.startswith("test_")}
        unknown = {name.partition("[")[0] for name in cls.exceptions} - tests
        silent = {name for name in vars(cls) if name in tests and name not in cls.exceptions}
        if unknown:
            raise TypeError(f"{cls.__name__}.exceptions names no test: {sorted(unknown)}")
        if silent:
            raise TypeError(f"{cls.__name__} replaces tests without a reason: {sorted(silent)}")

    @pytest.fixture(autouse=True)
    def _declared_exception(self, request: pytest.FixtureRequest) -> None:
        named = {request.node.name, request.node.originalname}
        reasons = [reason for test, reason in self.exceptions.items() if test in named]
        # A test that takes the place of the suite's is run.
        if reasons and request.function.__module__.startswith("paperfleet.testing."):
            pytest.skip(f"declared exception: {reasons[0]}")


class SuiteBase(DeclaredExceptions):
    """The fixtures that a subclass fills, and those made of them."""

    @pytest.fixture
    def storage(self) -> DocumentStorage:
        """Return a fresh, empty storage, not entered."""
        raise NotImplementedError("the suite needs a fixture 'storage'")

    @pytest.fixture
    def bypass(self) -> Bypass:
        """Return another way to the files of ``storage``."""
        raise NotImplementedError("the suite needs a fixture 'bypass'")

    @pytest.fixture
    def store(self, storage: DocumentStorage) -> Iterator[DocumentStorage]:
        """Yield the storage inside its block."""
        with storage:
            yield storage

    @pytest.fixture
    def able(self, store: DocumentStorage) -> EveryAbility:
        """Return the storage inside its block, to be used for what it claims only."""
        return Wrapper(store)


def claims(storage: DocumentStorage, *abilities: str) -> None:
    """Skip the test unless the storage claims these fields of ``Capabilities``."""
    capabilities = full(storage).capabilities
    for ability in abilities:
        if not getattr(capabilities, ability):
            pytest.skip(f"the storage does not claim {ability}")


def put(storage: DocumentStorage, name: str, content: bytes = b"content") -> str:
    """Save bytes; return the name used."""
    return storage.save(name, io.BytesIO(content))


def get(storage: DocumentStorage, name: str) -> bytes:
    """Read a whole file."""
    with storage.open(name) as stream:
        return stream.read()


def upload(content: bytes, modified_ns: int | None = None) -> Upload:
    """Describe bytes that are in memory, with their checksum."""
    digest = hashlib.sha256(content).hexdigest()
    return Upload(lambda: io.BytesIO(content), len(content), modified_ns, digest)


class OneWay(io.RawIOBase):
    """Content that can be read once, forwards, in pieces of a size of its own."""

    def __init__(self, content: bytes, piece: int = 1000) -> None:
        super().__init__()
        self._rest = io.BytesIO(content)
        self._piece = piece

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it cannot be rewound."""
        return False

    def read(self, size: int = -1, /) -> bytes:
        """Return at most one piece, for a negative size all."""
        return self._rest.read(size if size < 0 else min(size, self._piece))


class BrokenContentError(Exception):
    """What ``Broken`` raises: of no kind that a storage knows."""


class Broken(OneWay):
    """Content that ends with an exception after its bytes."""

    def read(self, size: int = -1, /) -> bytes:
        """Return a piece; raise ``BrokenContentError`` where the end, or all, is asked for."""
        data = super().read(size) if size >= 0 else b""
        if not data:
            raise BrokenContentError("the source went away")
        return data


def as_content(stream: OneWay) -> IO[bytes]:
    """Return the stream as what ``save`` takes."""
    return cast("IO[bytes]", stream)
