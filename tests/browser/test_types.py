"""The types in the JSDoc of the browser's code, read by TypeScript: no build step, and no type that is not true."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def test_types_of_all_modules_fit() -> None:
    """As strict as TypeScript can be."""
    node = shutil.which("node")
    assert node, "the tests need Node.js, which comes with npm"
    command = [node, "node_modules/typescript/bin/tsc", "--project", "tsconfig.json"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0
