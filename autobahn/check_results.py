#!/usr/bin/env python3
"""Compares a report of the Autobahn test suite with the committed expected result.

Each case has two verdicts: `behavior`, what was answered, and `behaviorClose`, how the connection
ended. Both must be as expected, and no case may be missing or new. Exit status: 0 all as
expected, 1 a difference, 2 wrong use or an unreadable file.
"""

import argparse
import collections
import html
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
FIELDS = ("behavior", "behaviorClose")
VERDICTS = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED")
SECTIONS = {
    1: "text and binary messages",
    2: "ping and pong",
    3: "reserved bits",
    4: "reserved opcodes",
    5: "fragmentation",
    6: "UTF-8 of text messages",
    7: "closing handshake",
    9: "sizes and limits",
    10: "fragments cut at will",
    12: "permessage-deflate, payloads",
    13: "permessage-deflate, parameters",
}


def order(case):
    """The sort key of a case id: 9.10.1 comes after 9.2.1."""
    return tuple(int(number) for number in case.split("."))


def fail(text):
    """Ends the program with status 2."""
    print(f"check_results.py: error: {text}", file=sys.stderr)
    sys.exit(2)


def load(path):
    """The JSON value in a file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        fail(f"cannot read {path}: {error}; run scripts/autobahn.sh to make a report")


def read_report(path):
    """case id -> its entry, from an index.json with exactly one agent."""
    agents = load(path)
    if len(agents) != 1:
        fail(f"{path} holds {len(agents)} agents, not 1; the report of one server is expected")
    return next(iter(agents.values()))


def pattern_matches(pattern, case):
    """Whether an id or a pattern such as `9.*` names the case."""
    if "*" not in pattern:
        return pattern == case
    return re.match(re.escape(pattern).replace(r"\*", ".*"), case) is not None


def describe(folder, case, entry):
    """The description of a case and Autobahn's result; the section if there is no description."""
    text = SECTIONS.get(order(case)[0], "unknown section")
    if entry is None:
        return text
    try:
        detail = json.loads((folder / entry["reportfile"]).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError):
        return text
    plain = html.unescape(re.sub(r"<[^>]*>", " ", detail.get("description", "")))
    plain = " ".join(plain.split())
    if len(plain) > 120:
        plain = plain[:117] + "..."
    words = (detail.get("result", ""), detail.get("resultClose", ""))
    return f"{text}: {plain} [{' / '.join(words)}]"


def print_table(report):
    """Counts of each verdict by section, `behavior` / `behaviorClose`."""
    counts = collections.defaultdict(collections.Counter)
    for case, entry in report.items():
        for section in (order(case)[0], "all"):
            counts[section]["cases"] += 1
            for field in FIELDS:
                verdict = entry[field] if entry[field] in VERDICTS else "FAILED"
                counts[section][field, verdict] += 1
    columns = (*VERDICTS, "FAILED")
    print(f"{'section':<37}{'cases':>6}" + "".join(f"{name:>15}" for name in columns))
    for section in (*sorted(key for key in counts if key != "all"), "all"):
        row = counts[section]
        title = "all" if section == "all" else f"{section:>2} {SECTIONS.get(section, 'unknown')}"
        cells = (f"{row['behavior', name]} / {row['behaviorClose', name]}" for name in columns)
        print(f"{title:<37}{row['cases']:>6}" + "".join(f"{cell:>15}" for cell in cells))


def differences(report, expected, folder):
    """One line for each case that is not as expected, missing or new."""
    lines = []
    for case in sorted({*report, *expected}, key=order):
        entry, want = report.get(case), expected.get(case)
        if entry is None:
            found = "missing from the report"
        elif want is None:
            found = "not in the expected results"
        else:
            wrong = (f for f in FIELDS if entry[f] != want[f])
            found = "; ".join(f"{f} is {entry[f]}, expected {want[f]}" for f in wrong)
        if found:
            lines.append(f"{case}: {found}: {describe(folder, case, entry)}")
    return lines


def write(report, path):
    """Writes the verdicts of a report as the expected result, a line for each case."""
    rows = []
    for case in sorted(report, key=order):
        verdicts = {field: report[case][field] for field in FIELDS}
        rows.append(f"  {json.dumps(case)}: {json.dumps(verdicts)}")
    path.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
    print(f"wrote {len(rows)} cases to {path}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--report", type=pathlib.Path, default=HERE / "report/index.json")
    parser.add_argument("--expected", type=pathlib.Path, default=HERE / "expected-results.json")
    parser.add_argument("--cases", default="*", help="only these ids or patterns, with commas")
    parser.add_argument("--write", action="store_true", help="make the report the expected result")
    options = parser.parse_args()
    report = read_report(options.report)
    if options.write:
        write(report, options.expected)
        return 0
    patterns = [pattern.strip() for pattern in options.cases.split(",")]
    expected = {
        case: want
        for case, want in load(options.expected).items()
        if any(pattern_matches(pattern, case) for pattern in patterns)
    }
    if not expected:
        fail(f"no expected case matches {options.cases}; give ids or patterns such as 9.*")
    print_table(report)
    print("each cell: behavior / behaviorClose; FAILED counts wrong or unclean closes too")
    lines = differences(report, expected, options.report.parent)
    for line in lines:
        print(line)
    print(f"Autobahn: {len(report)} cases run, {len(expected)} expected, {len(lines)} different")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
