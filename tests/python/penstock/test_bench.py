"""The measurements themselves: that they measure what they say, not what they find."""

import os
import re
import subprocess
import sys

import pytest

from penstock.bench.measure import Comparison, Took, command
from penstock.errors import PenstockError
from penstock.settings import PROJECT_ROOT


def test_command_returns_output_and_time():
    took = command([sys.executable, "-c", "print('done')"])
    assert took.output == "done\n"
    assert took.seconds > 0


def test_command_peak_is_of_the_process_itself_and_not_of_who_started_it():
    ballast = b"x" * 150_000_000
    small = command([sys.executable, "-c", "import time; time.sleep(0.3)"])
    large = command([sys.executable, "-c", "import time; x = b'x' * 80_000_000; time.sleep(0.3)"])
    assert len(ballast) > 2 * small.peak_bytes > 0
    assert large.peak_bytes > 80_000_000


def test_command_that_fails_raises_with_its_words():
    with pytest.raises(PenstockError, match="ended with 3:\nno such thing"):
        command([sys.executable, "-c", "import sys; print('no such thing'); sys.exit(3)"])


def test_comparison_is_of_medians():
    compared = Comparison(
        "x", (Took(2, 5), Took(9, 7), Took(3, 6)), (Took(1, 1), Took(1, 1), Took(9, 2)), 1.4
    )
    assert compared.ratio == 3
    assert (compared.ours_peak, compared.floor_peak) == (7, 2)


@pytest.mark.stack
def test_bench_on_a_small_file_prints_both_ratios_and_leaves_nothing(tmp_path):
    tmp_path.chmod(0o711)
    env = {**os.environ, "PENSTOCK_STATE_DIR": str(tmp_path / "state")}
    arguments = [sys.executable, "-m", "invoke", "bench", "--rows", "910", "--rounds", "1"]
    done = subprocess.run(arguments, cwd=PROJECT_ROOT, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "910 rows, median of 1 interleaved rounds" in done.stdout
    for name in ("first load, verified", "athena_local CTAS"):
        line = next(line for line in done.stdout.splitlines() if name in line)
        assert re.search(r"\d+\.\d\d +\d+\.\d\d +\d+\.\d\d", line), line
    assert not (tmp_path / "state" / "bench").exists()
