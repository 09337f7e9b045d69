"""data_sync under django-unfold, whose admin replaces the stock one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FOREIGN = ("DJANGO_SETTINGS", "PYTEST_", "DATA_SYNC_TEST_FOLDER")


@pytest.mark.browser
def test_the_screens_work_under_django_unfold(tmp_path):
    # The folder of results is emptied at each start; the one of this run has pictures in it.
    options = ["-q", "--no-header", "--ds=tests.e2e.unfold.settings", f"--output={tmp_path}"]
    command = [sys.executable, "-m", "pytest", *options]

    ran = subprocess.run(
        [*command, str(HERE / "unfold" / "screens.py")],
        cwd=HERE.parents[1],
        # Nor are its databases those of this run.
        env={name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)},
        capture_output=True,
        text=True,
        timeout=240,
    )

    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
