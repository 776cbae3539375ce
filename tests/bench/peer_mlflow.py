"""MLflow on SQLite, for `ledger.py`: `peer_mlflow.py EXPERIMENTS SECONDS` in an empty folder, by the Python of MLflow's
own environment. A run each with ten parameters, ten metrics and a tag, until so many are there or the time is over;
then all of them by `search_runs`, by pages of a thousand, twice in the same process. Prints JSON.
"""

import json
import os
import random
import statistics
import sys
import time
from pathlib import Path

os.environ["MLFLOW_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "true"

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

count, limit = int(sys.argv[1]), float(sys.argv[2])
client = MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}")
experiment = client.create_experiment("night", artifact_location=str(Path("artifacts").resolve()))
times, begun = [], time.perf_counter()
for number in range(count):
    began = time.perf_counter()
    run = client.create_run(experiment, tags={"git": f"{number:040x}"}, run_name=f"e{number}").info.run_id
    now = int(time.time() * 1000)
    client.log_batch(run, [Metric(f"m{k}", random.random(), now, 0) for k in range(10)],
                     [Param(f"p{k}", str(k * number)) for k in range(10)])
    client.set_terminated(run)
    times.append((time.perf_counter() - began) * 1e3)
    if time.perf_counter() - begun > limit:
        break


def table():
    """Milliseconds until every run has been read."""
    began, token, read = time.perf_counter(), None, 0
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        read, token = read + len(page), page.token
        if not token:
            break
    assert read == len(times)
    return (time.perf_counter() - began) * 1e3


print(json.dumps({"experiments": len(times), "append_ms": statistics.median(times), "first_ms": table(),
                  "again_ms": table()}))
