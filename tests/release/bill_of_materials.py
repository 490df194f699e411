"""What an installation consists of, in the form of CycloneDX 1.5."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

# Run by the Python of the installation, which need not have this folder.
_LIST = """
import importlib.metadata, json
rows = []
for found in importlib.metadata.distributions():
    about = found.metadata
    names = [c.rpartition(":: ")[2] for c in about.get_all("Classifier", []) if c[:7] == "License"]
    said = about.get("License-Expression") or ", ".join(names) or about.get("License") or ""
    rows.append([about["Name"], about["Version"], said.split("\\n")[0]])
print(json.dumps(sorted(rows, key=lambda row: row[0].lower())))
"""


def installed(python: Path) -> list[tuple[str, str, str]]:
    """Name, version and licence of everything that an installation holds."""
    done = subprocess.run(
        [str(python), "-c", _LIST], capture_output=True, text=True, check=True, cwd=python.parent
    )
    return [(name, version, licence) for name, version, licence in json.loads(done.stdout)]


def bill_of(rows: list[tuple[str, str, str]], wheel: Path) -> dict[str, Any]:
    """The document on a wheel and on what was installed with it.

    Args:
        rows: name, version and licence of each distribution, the package itself among them.
        wheel: of the package; its SHA-256 is written.
    """
    own = [row for row in rows if row[0] == "trajinfer"]
    if len(own) != 1:
        raise ValueError(f"trajinfer must be installed once, found {len(own)} times")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    package = _component(*own[0], kind="application")
    package["hashes"] = [{"alg": "SHA-256", "content": digest}]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": package},
        "components": [_component(*row) for row in rows if row != own[0]],
    }


def _component(name: str, version: str, licence: str, *, kind: str = "library") -> dict[str, Any]:
    reference = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
    component: dict[str, Any] = {
        "type": kind,
        "name": name,
        "version": version,
        "purl": reference,
        "bom-ref": reference,
    }
    if licence:
        component["licenses"] = [{"license": {"name": licence}}]
    return component
