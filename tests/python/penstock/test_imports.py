"""A module left out of a process is, to whoever asks for it there, not installed."""

import subprocess
import sys

ARROW = """
import sys
from penstock.imports import leave_out
leave_out("pandas")
import pyarrow as pa
assert pa.array([1, None]).fill_null(0).to_pylist() == [1, 0]
assert pa.scalar(3).as_py() == 3
assert pa.array([2]).to_numpy().tolist() == [2]
assert "pandas" not in sys.modules
try:
    import pandas
except ModuleNotFoundError as error:
    print(error.name)
"""


def test_arrow_does_without_pandas_where_it_is_left_out():
    done = subprocess.run([sys.executable, "-c", ARROW], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("pandas\n", "")
