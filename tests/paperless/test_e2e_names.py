"""Storage paths and titles of any kind, on each S3 server: no document is lost or damaged.

What a storage cannot keep stays under the name that it has, or fails as a task that says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from tests.paperless import agreement, papers
from tests.paperless.conftest import make

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.paperless.installation import Bucket, Installation, Servers
    from tests.paperless.rest import Rest

pytestmark = [pytest.mark.paperless, pytest.mark.usefixtures("agreed")]

TEMPLATES = {
    "outside": "../../../outside/{{ title }}",
    "outside by the title": "{{ title }}/../../../../outside",
    "absolute": "/etc/{{ title }}",
    "nothing": "{{ none }}",
    "trailing dots": "a./b. . /c.../{{ title }}...",
    "emoji": "📄/🏳️‍🌈 {{ title }} 👩‍👩‍👧",
    "two forms of a letter": "e\u0301/\u00e9 {{ title }}",
    "no name for a folder": "a//./b/{{ title }}",
    "signs of a URL": "a+b c%2F?x=1&y#z/{{ title }}",
    "a key of 1,024 bytes": f"{'b' * 120}/" * 8 + "{{ title }}",
    "1,024 characters": f"{'c' * 63}/" * 16 + "{{ title }}",
    "1,024 characters of two bytes": f"{'ä' * 63}/" * 16 + "{{ title }}",
    "a folder of 300 characters": f"{'d' * 300}/{{{{ title }}}}",
}


@pytest.fixture(scope="module")
def paperless(
    servers: Servers, bucket: Bucket, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp(f"names-{kind}")
    with make(servers, folder, bucket) as installation:
        installation.start("web", "worker")
        yield installation


def storage_path(rest: Rest, template: str) -> int | None:
    """Make a storage path; None when paperless-ngx itself refuses it."""
    body = {"name": papers.new_text()[:100], "path": template}
    try:
        return int(rest.post("storage_paths/", json=body).json()["id"])
    except httpx.HTTPStatusError as error:
        if error.response.status_code != 400:
            raise
        return None


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES.keys())
def test_a_storage_path_of_any_kind(template: str, paperless: Installation, rest: Rest) -> None:
    path = storage_path(rest, template)
    if path is None:
        pytest.skip("paperless-ngx itself refuses it")
    content = papers.plain()
    number = rest.upload("a.txt", content, title="..")
    rest.patch(f"documents/{number}/", json={"storage_path": path})
    rest.wait_until_idle()
    assert rest.download(number).content == content
    names = agreement.row_of(paperless, number).names
    assert all(name.startswith("originals/") and "/../" not in name for name in names)


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES.keys())
def test_consumed_to_a_storage_path_of_any_kind(template: str, rest: Rest) -> None:
    path = storage_path(rest, template)
    if path is None:
        pytest.skip("paperless-ngx itself refuses it")
    content = papers.plain()
    task = rest.finished(rest.post_document("b.txt", content, title="/", storage_path=path))
    if task["status"] == "SUCCESS":
        assert rest.download(int(task["related_document"])).content == content
    else:
        assert " on s3://" in task["result"], task


@pytest.mark.parametrize("title", ["a\0b", "a" * 129])
def test_titles_that_paperless_itself_refuses(title: str, rest: Rest) -> None:
    number = rest.upload("c.txt", papers.plain())
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        rest.patch(f"documents/{number}/", json={"title": title})
