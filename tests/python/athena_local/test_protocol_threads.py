"""Threads come and go in the server; what they load must not outlive them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_THREADS_AFTER_THE_ONE_THAT_LOADS = """
import sys, threading
from pathlib import Path
from athena_local.config import Config
from athena_local.protocol.app import create_app

create_app(Config(data_dir=Path(sys.argv[1]), s3_endpoint="http://127.0.0.1:1"))

def load():
    import pyarrow.compute

def allocate():
    import pyarrow
    assert pyarrow.array(range(1000)).nbytes == 8000
    done.append(True)

done = []
for work in (load, *[allocate] * 20):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
print(len(done))
"""


def test_arrow_survives_the_thread_that_first_used_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _THREADS_AFTER_THE_ONE_THAT_LOADS, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "20\n"), done.stderr
