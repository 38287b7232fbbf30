#!/usr/bin/env python3
"""Run the Complete Journey through Stampcard, from nothing to a table of differences.

Needs Python 3.11 and the binary; everything else is made in a work folder: a virtual environment
with the pinned packages, the events, and a shop that `stampcard init` writes and this script gives
the stores of the data. Running it again makes a new shop.

Exit code: 0 no difference, 1 refused events, a failed check or differences, 2 it could not run.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PYTHON_LEAST = (3, 11)  # pinned packages have no wheels for older ones


class RunError(Exception):
    """A step could not be done, or did not end as it must. The text says which and what to do."""

    def __init__(self, problem, exit_code=2):
        super().__init__(problem)
        self.exit_code = exit_code


@dataclass
class Steps:
    """What was done, how long it took and how much memory it needed at most."""

    rows: list = field(default_factory=list)

    def run(self, name, command, allowed=(0,), capture=False, exit_code=2):
        """Runs a step to its end. Returns its exit code and, if captured, its standard output.

        An exit code that is not allowed ends the run with `exit_code`.
        """
        print(f"\n== {name}: {' '.join(map(str, command))}", flush=True)
        began = time.monotonic()
        try:
            process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE if capture else None)
        except OSError as error:
            raise RunError(f"{name}: {command[0]} cannot be run: {error}") from error
        output = process.stdout.read().decode() if capture else ""
        code, peak_bytes = wait(process)
        self.rows.append((name, time.monotonic() - began, peak_bytes))
        if code not in allowed:
            raise RunError(f"{name} ended with exit code {code}", exit_code)
        return code, output

    def print(self):
        print(f"\n{'step':<24}{'seconds':>9}{'peak MiB':>10}")
        for name, seconds, peak_bytes in self.rows:
            print(f"{name:<24}{seconds:>9.1f}{peak_bytes / (1 << 20) if peak_bytes else float('nan'):>10.0f}")


def wait(process):
    """The exit code, and the most memory that the process held where the system tells it."""
    if not hasattr(os, "wait4"):
        return process.wait(), None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    return process.returncode, usage.ru_maxrss * unit


def main(arguments=None):
    options = parse(arguments)
    steps = Steps()
    try:
        code = journey(options, steps)
    except RunError as error:
        print(f"run.py: {error}", file=sys.stderr)
        code = error.exit_code
    if steps.rows:
        steps.print()
    return code


def parse(arguments):
    parser = argparse.ArgumentParser(
        description="Run a year of supermarket baskets through Stampcard and check every household.",
        epilog="example: run.py --month busiest, or without options for the whole year",
    )
    option = parser.add_argument
    option("--stampcard", metavar="PATH", type=Path, default=ROOT / "target/release/stampcard",
           help="the binary (default: target/release/stampcard)")
    option("--work", metavar="DIR", type=Path, default=ROOT / "target/complete-journey",
           help="folder for everything that is made (default: target/complete-journey)")
    option("--month", metavar="YYYY-MM", help="only this month, or 'busiest'")
    option("--households", metavar="N", help="only the N households with the lowest numbers")
    option("--limit", metavar="N", help="only the first N baskets")
    option("--shuffle", metavar="SEED", help="ingest in an order drawn from SEED")
    option("--until", metavar="TIME", help="drive the shop's clock on, such as 2018-06-01T00:00:00Z, and check there")
    option("--twice", action="store_true", help="ingest the same file again; every event must be a duplicate")
    return parser.parse_args(arguments)


def journey(options, steps):
    if not options.stampcard.is_file():
        raise RunError(f"{options.stampcard} is missing: run `cargo xtask build`, or name it with --stampcard")
    options.work.mkdir(parents=True, exist_ok=True)
    python = environment(options.work / "venv", steps)
    events, locations = options.work / "events.ndjson", options.work / "locations.toml"
    steps.run("convert", [python, HERE / "convert.py", events, "--locations", locations, *chosen(options)])
    shop = make_shop(options, locations, steps)
    ingest(options, shop, events, steps)
    steps.run("stampcard check", [options.stampcard, "check", shop], exit_code=1)
    until = ["--end", options.until] if options.until else []
    command = [python, HERE / "check.py", shop, "--stampcard", options.stampcard, "--events", events, *until]
    code, _ = steps.run("check.py", command, allowed=(0, 1))
    return code


def chosen(options):
    names = ("month", "households", "limit", "shuffle")
    return [part for name in names if getattr(options, name) for part in (f"--{name}", getattr(options, name))]


def environment(folder, steps):
    """A virtual environment with the pinned packages, made again when the pins change."""
    if sys.version_info < PYTHON_LEAST:
        least = ".".join(map(str, PYTHON_LEAST))
        raise RunError(f"Python {least} or newer is needed, this is {sys.version.split()[0]}")
    requirements = HERE / "requirements.txt"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp = folder / "requirements.sha256"
    pins = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not (python.is_file() and stamp.is_file() and stamp.read_text() == pins):
        venv.create(folder, clear=True, with_pip=True)
        steps.run("install", [python, "-m", "pip", "install", "--quiet", "--requirement", requirements])
        stamp.write_text(pins)
    return python


def make_shop(options, locations, steps):
    """A new shop. The one of the last run is removed, if it is one that this script made."""
    shop, made = options.work / "shop", options.work / "shop-is-ours"
    if shop.exists():
        if not made.is_file():
            raise RunError(f"{shop} exists and is not from this script: move it away, or choose another --work")
        shutil.rmtree(shop)
    made.touch()
    place = ["--currency", "USD", "--time-zone", "America/New_York", "--country", "US"]
    # The output holds the shop's keys: it is taken so that they do not end up in a log.
    steps.run("stampcard init", [options.stampcard, "init", shop, "--json", *place], capture=True)
    with (shop / "merchant.toml").open("a", encoding="utf-8") as merchant:
        merchant.write("\n" + locations.read_text(encoding="utf-8"))
    return shop


def ingest(options, shop, events, steps):
    with events.open("rb") as file:
        wanted = sum(1 for _ in file)
    until = ["--until", options.until] if options.until else []
    command = [options.stampcard, "ingest", shop, events, "--json", *until]
    summary = ingested(steps.run("stampcard ingest", command, allowed=(0, 1), capture=True)[1])
    expect(summary, "applied", wanted)
    size = sum(path.stat().st_size for path in shop.rglob("*") if path.is_file())
    seconds = max(summary["seconds"], 0.001)
    rate = f"{wanted / seconds:,.0f} a second"
    print(f"{wanted:,} events in {seconds:.1f} s: {rate}, {size // wanted:,} bytes an event on disk")
    if options.twice:
        again = ingested(steps.run("stampcard ingest again", command, allowed=(0, 1), capture=True)[1])
        expect(again, "duplicate", wanted)


def ingested(output):
    try:
        summary = json.loads(output)
    except ValueError as error:
        raise RunError(f"`stampcard ingest --json` did not print one JSON object ({error}): {output[:500]}") from error
    print(json.dumps(summary))
    return summary


def expect(summary, what, wanted):
    if summary[what] != wanted or summary["refused"] != 0:
        problem = f"{wanted:,} events were sent; {summary[what]:,} are {what}, {summary['refused']:,} refused"
        raise RunError(problem, exit_code=1)


if __name__ == "__main__":
    sys.exit(main())
