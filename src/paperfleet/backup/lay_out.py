"""Lay the documents of this backup out as document_importer of paperless-ngx reads them.

    python3 data/lay_out.py EMPTY_FOLDER
    manage.py document_importer EMPTY_FOLDER      # of the version that this prints

Needs Python 3.8 or newer, and nothing else. Every file is compared with its SHA-256. Exit code 1
when one is missing or wrong.
"""

import hashlib
import json
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(target: Path) -> str:
    """Lay it out; return what was wrong, empty for nothing."""
    target.mkdir(parents=True, exist_ok=True)
    if any(target.iterdir()):
        return f"{target} is not empty"
    with (HERE / "manifest.jsonl").open(encoding="utf-8") as lines:
        header, *files, _total = map(json.loads, lines)
    shutil.copytree(HERE / "database", target, dirs_exist_ok=True)
    wrong = []
    for file in files:
        name = file.get("export") or f"extra/{file['role']}/{file['key']}"
        sha256, digest = file.get("sha256", ""), hashlib.sha256()
        stored, new = HERE.parent / "files" / sha256[:2] / sha256, target / name
        if stored.is_file():
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(stored, new)
            with new.open("rb") as content:
                for block in iter(lambda: content.read(1 << 20), b""):
                    digest.update(block)
        if digest.hexdigest() != sha256 or file.get("fault"):
            wrong.append(f"{name}: {file.get('fault') or 'not what was backed up'}")
    print(f"{len(files)} files. Import them with paperless-ngx {header['paperless']}")
    return "\n".join(wrong)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])) or None if len(sys.argv) > 1 else __doc__)
