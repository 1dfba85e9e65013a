"""The public API as a type checker sees it from outside of the package."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

CLIENT = Path(__file__).parent / "data" / "client.py"


def checked(file: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, str(file)]
    return subprocess.run(command, capture_output=True, text=True, cwd=file.parent)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("pyright") is None, reason="needs pyright")
def test_a_client_has_no_type_errors_and_a_wrong_one_has(tmp_path):
    fine = tmp_path / "client.py"
    fine.write_text(CLIENT.read_text())
    assert checked(fine).returncode == 0, checked(fine).stdout
    wrong = tmp_path / "wrong.py"
    wrong.write_text(CLIENT.read_text().replace("return np.asarray(sol.i_out)", "return sol.i_uot"))
    found = checked(wrong)
    assert found.returncode == 1
    assert '"i_uot"' in found.stdout
