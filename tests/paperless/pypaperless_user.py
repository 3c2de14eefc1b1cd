"""What a user of pypaperless does, as a program: ``pypaperless_user.py URL TOKEN FOLDER``.

It runs in a Python that has pypaperless 6, takes ``first.pdf`` and ``second.pdf`` from the folder,
puts there what it downloads, and prints the number of the document that it leaves behind.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pypaperless import PaperlessClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TIMEOUT = 180.0


async def until(look: Callable[[], Awaitable[Any]], what: str) -> Any:  # noqa: ANN401
    """Return what ``look`` finds as soon as it is true; raise ``TimeoutError``."""
    async with asyncio.timeout(TIMEOUT):
        while not (found := await look()):
            await asyncio.sleep(0.3)
    assert found, what
    return found


class User:
    """One user's way through the library."""

    def __init__(self, paperless: PaperlessClient, folder: Path) -> None:
        self._paperless, self._folder = paperless, folder
        self._documents = paperless.documents

    async def upload(self, name: str) -> int:
        """Upload a document and wait for it."""
        content = (self._folder / name).read_bytes()
        draft = self._documents.create(document=content, filename=name, title=Path(name).stem)
        task = await self._documents.save(draft)

        async def done() -> list[int]:
            found = await self._paperless.tasks(str(task))
            assert str(found.status) != "failure", found
            numbers: list[int] = found.related_document_ids
            return numbers

        return int((await until(done, "the upload"))[0])

    async def keep(self, number: int, name: str, *, original: bool) -> None:
        """Download a document into the folder."""
        found = await self._documents.download(number, original=original)
        (self._folder / name).write_bytes(found.content)

    async def all(self) -> dict[int, Any]:
        """Return all documents."""
        found: dict[int, Any] = await self._documents.as_dict()
        return found

    async def walk(self) -> int:
        """Do it all; return the number of the document that is left."""
        number = await self.upload("first.pdf")
        await self.keep(number, "downloaded.pdf", original=True)
        await self.keep(number, "archive.pdf", original=False)
        thumbnail = await self._documents.thumbnail(number)
        assert thumbnail.content[:4] == b"RIFF"
        await self._rename(number)
        await self._new_version(number)
        await self._pages(number)
        await self._trash(await self.upload("second.pdf"))
        return number

    async def _rename(self, number: int) -> None:
        path = self._paperless.storage_paths.create(
            name="of pypaperless",
            path="by-pypaperless/{{ title }}",
            match="",
            matching_algorithm=0,
            is_insensitive=True,
        )
        saved = int(await self._paperless.storage_paths.save(path))
        document = await self._documents(number)
        document.storage_path, document.title = saved, "renamed"
        assert await self._documents.update(document)
        about = await self._documents.metadata(number)
        assert about.media_filename == "by-pypaperless/renamed.pdf", about

    async def _new_version(self, number: int) -> None:
        before = (await self._documents.metadata(number)).original_checksum
        with (self._folder / "version.pdf").open("rb") as stream:
            await self._documents.versions.upload(stream, pk=number)

        async def there() -> bool:
            return bool((await self._documents.metadata(number)).original_checksum != before)

        await until(there, "the new version")
        await self.keep(number, "downloaded-version.pdf", original=True)

    async def _pages(self, number: int) -> None:
        before = await self.all()
        await self._documents.bulk_edit.split(number, [[1], [2, 3]])

        async def parts() -> list[int]:
            found = sorted((await self.all()).keys() - before.keys())
            return found if len(found) == 2 else []

        halves = await until(parts, "the halves")
        await self._documents.bulk_edit.merge(halves)

        async def merged() -> list[int]:
            return sorted((await self.all()).keys() - before.keys() - set(halves))

        (whole,) = await until(merged, "the whole")
        assert (await self._documents(whole)).page_count == 3

    async def _trash(self, number: int) -> None:
        await self._documents.delete(await self._documents(number))
        await self._paperless.trash.restore([number])
        await self.keep(number, "restored.pdf", original=True)
        await self._documents.delete(await self._documents(number))
        await self._paperless.trash.empty([number])
        assert number not in await self.all()


async def main() -> None:
    """Run it."""
    url, token, folder = sys.argv[1:]
    async with PaperlessClient(url, token) as paperless:
        print(await User(paperless, Path(folder)).walk())


if __name__ == "__main__":
    asyncio.run(main())
