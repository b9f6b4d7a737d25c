"""The measurements themselves: that they measure what they say, not what they find."""

import os
import re
import subprocess
import sys

import pytest

from penstock.bench import promises
from penstock.bench.forecast_lake import SCHEMA, changed, later, months_of, read
from penstock.bench.measure import Comparison, Took, TookTooLongError, command
from penstock.bench.sync_ways import WAYS, Idle, Way
from penstock.commands import bench
from penstock.errors import PenstockError, SettingsError
from penstock.settings import PROJECT_ROOT
from penstock.synthetic import forecast


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


def test_command_reads_what_it_is_given_and_its_processor_seconds_are_counted():
    took = command([sys.executable, "-c", "print(sum(range(3_000_000)), input())"], given="said\n")
    assert took.output.split()[1] == "said"
    assert took.cpu_seconds > 0


def test_command_whose_time_is_up_is_stopped():
    with pytest.raises(TookTooLongError, match="stopped after 1 s"):
        command([sys.executable, "-c", "import time; time.sleep(60)"], limit_seconds=1)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    path = tmp_path_factory.mktemp("bench") / "forecast.csv"
    forecast.write(path, 91_000)
    return read(path)


def keyed(table):
    return {
        tuple(row[name] for name in SCHEMA.names[:3]): tuple(row[name] for name in SCHEMA.names[3:])
        for row in table.to_pylist()
    }


@pytest.mark.parametrize("one_month", [False, True])
def test_second_version_differs_by_what_it_says(rows, one_month):
    after, change = changed(rows, one_month=one_month)
    touched = set(months_of(after))
    before = keyed(rows.filter([bool(month in touched) for month in months_of(rows)]))
    now = keyed(after)
    assert len(now) == len(after)
    differing = sum(now[key] != before[key] for key in now.keys() & before.keys())
    assert change == type(change)(differing, len(now.keys() - before.keys()), len(before.keys() - now.keys()))
    assert (change.changed, change.deleted) == (910, 72)
    assert change.added == (0 if one_month else 1_000)
    assert len(touched) == (1 if one_month else 2)


def test_later_keeps_days_and_leaves_out_those_a_month_lacks(rows):
    year = later(rows, 12)
    assert {str(day)[:4] for day in year["business_date"].to_pylist()} == {"2026"}
    assert len(year) == len(rows)
    days = {day.isoformat()[5:] for day in later(rows, 1)["business_date"].to_pylist()}
    assert "02-28" in days
    assert not days & {"02-29", "02-30", "02-31"}


def measured(**seconds):
    """Ways that took so many seconds by step, e.g. ours={"A": 9}."""
    ways = {name: Way(name) for name in WAYS}
    for name, steps in seconds.items():
        for step, value in steps.items():
            ways[name].steps[step].took.append(Took(value, 300_000_000, cpu_seconds=value))
            ways[name].steps[step].server_cpu.append(0.0)
    return ways


def test_promises_are_ratios_and_say_what_failed():
    ways = measured(floor={"A": 8}, ours={"A": 9, "B": 0.5, "C": 2}, dlt={"A": 12, "B": 4, "C": 4})
    ways["ours"].exact = True
    found = promises.promises(ways, [Idle(0.01, 6_000, 0, 0, 0), Idle(0.2, 6_000, 0, 1, 9)])
    verdicts = {item.name: (item.found, item.verdict) for item in found}
    assert verdicts["A, verified / psql's floor"] == (1.125, "passed")
    assert verdicts["A, verified / dlt"] == (0.75, "passed")
    assert verdicts["B / dlt"] == (0.125, "passed")
    assert verdicts["C / dlt"] == (0.5, "failed")
    assert verdicts["B: planning, s"] == (0.2, "failed")
    assert verdicts["B: files read"] == (1, "failed")
    assert verdicts["C: not equal to the lake"] == (0, "passed")
    assert verdicts["peak memory, MB"] == (300, "passed")


def test_promises_without_what_they_are_compared_with_are_not_measured():
    ways = measured(ours={"A": 9, "B": 0.5, "C": 2})
    found = {item.name: item.verdict for item in promises.promises(ways, [])}
    assert found["A, verified / dlt"] == found["C / dlt"] == found["B: WAL, bytes"] == "not measured"
    assert found["C: not equal to the lake"] == "not measured"


def test_growth_is_of_the_same_month_in_a_table_of_more():
    small, large = measured(ours={"M": 2})["ours"], measured(ours={"M": 3})["ours"]
    month, peak = promises.growth(small, large, 10)
    assert (month.found, month.verdict, peak.found, peak.verdict) == (1.5, "failed", 1.0, "passed")


@pytest.mark.parametrize(("only", "big"), [("floor,sling", ""), ("", "ten"), ("", "1")])
def test_bench_sync_refuses_what_it_does_not_know(only, big):
    with pytest.raises(SettingsError, match="--only" if only else "--big"):
        bench.chosen(only, big)


@pytest.mark.stack
def test_bench_sync_on_a_small_file_measures_ours_and_leaves_nothing(tmp_path):
    tmp_path.chmod(0o711)
    env = {**os.environ, "PENSTOCK_STATE_DIR": str(tmp_path / "state")}
    arguments = [sys.executable, "-m", "invoke", "bench.sync", "--rows", "9100", "--rounds", "1"]
    arguments += ["--only", "floor,ours", "--big", "2"]
    done = subprocess.run(arguments, cwd=PROJECT_ROOT, env=env, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert "C: 91 changed, 100 added, 7 deleted in 2 of 4 files" in done.stdout
    assert "18,200 rows, 2 times the months" in done.stdout
    verdicts = dict(
        re.findall(r"^ (B: rows written|B: files read|C: not equal to the lake) .* (\w+)", done.stdout, re.M)
    )
    assert verdicts == {
        "B: rows written": "passed",
        "B: files read": "passed",
        "C: not equal to the lake": "passed",
    }
    assert not (tmp_path / "state" / "bench").exists()


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
