"""Evaluates the counters of the guest.

figures.py one FOLDER CPUS           a run's figures as one line of JSON; CPUS: how many are the
                                     server's
figures.py table LINES WORKLOADS     such lines as a Markdown table
figures.py json LINES OUT KERNEL     such lines as one JSON document
figures.py profile FOLDER CPUS SYMBOLS PROGRAM TOP
                                     the functions with the most instructions
"""

import bisect
import json
import statistics
import subprocess
import sys

# The address of a position-independent program without randomisation.
BASE = 0x555555554000
# The instructions that `mark` with an argument executes between its marks, and the tolerance.
CALIBRATION = range(2_000_080, 2_002_000)


def give_up(text):
    sys.exit(f"figures.py: error: {text}")


def read_run(folder, cpus):
    """The runs of the load: messages, user and kernel instructions, busy and all ticks of each."""
    said = open(f"{folder}/said", errors="replace").read().replace("\r", "").splitlines()
    failed = [line for line in said if line.startswith(("fail ", "  | "))]
    if failed:
        give_up("\n".join(failed))
    marks = [list(map(int, line.split()[2:])) for line in open(f"{folder}/marks")]
    loads = [json.loads(line[5:]) for line in said if line.startswith("load ")]
    ticks = [ticks_of(line[5:], cpus) for line in said if line.startswith("stat ")]
    if len(marks) != len(loads) + 3 or len(ticks) != 2 * len(loads) or len(loads) % 2:
        give_up(f"{len(marks)} marks and {len(ticks)} states for {len(loads)} runs")
    steps = marks[1][0] - marks[0][0]
    if steps not in CALIBRATION:
        give_up(f"the meter is not to be trusted: {steps} instructions where 2,000,088 were run")
    runs = []
    for i, load in enumerate(loads):
        before, after = marks[i + 2], marks[i + 3]
        deltas = [b - a for a, b in zip(before, after)]
        busy, total = (b - a for a, b in zip(ticks[2 * i], ticks[2 * i + 1]))
        runs.append((load["messages"], sum(deltas[0 : 2 * cpus : 2]),
                     sum(deltas[1 : 2 * cpus : 2]), busy, total))
    return runs


def ticks_of(text, cpus):
    """Busy ticks and all ticks of the server's CPUs, out of the lines of /proc/stat."""
    busy = total = 0
    for line in text.split(";")[:cpus]:
        values = list(map(int, line.split()[1:]))
        total += sum(values[:8])
        busy += sum(values[:8]) - values[3] - values[4]
    return busy, total


def one(folder, cpus):
    """Differences of a long and a short run, so that connecting and closing cancel."""
    runs = read_run(folder, int(cpus))
    user, kernel, busy = [], [], []
    for short, long in zip(runs[::2], runs[1::2]):
        d = [b - a for a, b in zip(short, long)]
        if d[0] <= 0:
            give_up("the long run has no more messages than the short one")
        user.append(d[1] / d[0])
        kernel.append(d[2] / d[0])
        if d[4] > 0:
            busy.append(min(1.0, d[3] / d[4]))
    sums = [u + k for u, k in zip(user, kernel)]
    middle = statistics.median(sums)
    at = sums.index(min(sums, key=lambda s: abs(s - middle)))
    print(json.dumps({
        "user": round(user[at], 2), "kernel": round(kernel[at], 2), "sum": round(sums[at], 2),
        "spread": round((max(sums) - min(sums)) / middle, 4), "rounds": len(sums),
        "busy": round(statistics.median(busy), 3) if busy else None,
    }))


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def table(lines, workloads):
    goals = {}
    for line in open(workloads):
        if not line.startswith("#"):
            name, _, _, _, total, user = line.rstrip("\n").split("|")
            parts = [f"<= {int(total):,}"] if total else []
            goals[name] = ", ".join(parts + ([f"u <= {int(user):,}"] if user else []))
    print("| workload | server | user | kernel | sum | goal | spread | busy |")
    print("|---|---|--:|--:|--:|---|--:|--:|")
    for line in open(lines):
        r = json.loads(line)
        busy = "" if r["busy"] is None else f"{r['busy']:.0%}"
        print(f"| {r['workload']} | {r['server']} | {number(r['user'])} | {number(r['kernel'])} |"
              f" {number(r['sum'])} | {goals.get(r['workload'], '')} | {r['spread']:.1%} |"
              f" {busy} |")


def write_json(lines, out, kernel):
    results = [json.loads(line) for line in open(lines)]
    with open(out, "w") as file:
        json.dump({"kernel": kernel, "results": results}, file, indent=1)
        file.write("\n")


def read_blocks(path):
    blocks = {}
    for line in open(path):
        address, size, runs = line.split()
        key = int(address, 16)
        blocks[key] = blocks.get(key, 0) + int(size) * int(runs)
    return blocks


def program_symbols(program):
    command = ["nm", "-C", "--defined-only", program]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    fields = (line.split(maxsplit=2) for line in listing.splitlines())
    found = sorted((int(f[0], 16), f[2]) for f in fields if len(f) == 3 and f[1] in "tTwW")
    # A program at fixed addresses starts at 4 MiB.
    base = 0 if found and found[0][0] >= 0x400000 else BASE
    return [(base + address, name) for address, name in found]


def profile(folder, cpus, symbols, program, top):
    runs = read_run(folder, int(cpus))
    short, end = read_blocks(f"{folder}/marks.4"), read_blocks(f"{folder}/marks.5")
    start = read_blocks(f"{folder}/marks.3")
    messages = runs[1][0] - runs[0][0]
    fields = (line.split() for line in open(symbols))
    kernel = sorted((int(f[0], 16), f[1]) for f in fields if len(f) == 2)
    user = program_symbols(program)
    places = {"kernel": ([a for a, _ in kernel], kernel), "user": ([a for a, _ in user], user)}
    sums = {}
    for address, after in end.items():
        middle = short.get(address, 0)
        value = (after - middle) - (middle - start.get(address, 0))
        mode = "kernel" if address >> 63 else "user"
        addresses, names = places[mode]
        at = bisect.bisect_right(addresses, address) - 1
        outside = mode == "user" and (at < 0 or address - addresses[at] > 1 << 20)
        name = "(libraries)" if outside else names[at][1]
        sums[mode, name] = sums.get((mode, name), 0) + value
    total = sum(sums.values())
    print("| instructions | share | mode | function |\n|--:|--:|---|---|")
    for (mode, name), value in sorted(sums.items(), key=lambda item: -item[1])[: int(top)]:
        print(f"| {value / messages:,.1f} | {value / total:.1%} | {mode} | `{name[:90]}` |")


COMMANDS = {"one": one, "table": table, "json": write_json, "profile": profile}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    COMMANDS[sys.argv[1]](*sys.argv[2:])
