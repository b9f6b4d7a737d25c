"""`invoke sync` as a process of its own: connections and declarations handed over, every logger at its most talkative.

Standard input: a pickle of (connections, declarations). Settings come from the environment, as in life.
"""

from __future__ import annotations

import logging
import pickle
import sys
import types
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[5]))
    import tasks
    from botocore import endpoint

    from penstock.commands import sync
    from penstock.settings import load

    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    connections, declarations = pickle.load(sys.stdin.buffer)
    endpoint.time = types.SimpleNamespace(
        sleep=lambda _: None
    )  # an S3 that is not there need not be waited for
    sync._declared = lambda *_: declarations
    try:
        tasks.told(sync.sync)(connections, load(), select="")
    except tasks.Exit as left:
        sys.exit(left.code)
