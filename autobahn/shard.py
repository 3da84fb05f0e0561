#!/usr/bin/env python3
"""Splits a list of cases into configurations for wstest processes that run in parallel.

    shard.py TEMPLATE URL FOLDER PARTS <ids      writes FOLDER/1/spec.json, FOLDER/2/spec.json ...

The certificate behind a URL with wss:// is verified. Each part gets about the same work. Prints the number of parts, which is smaller than PARTS when
there are fewer cases.
"""

import json
import pathlib
import sys
import urllib.parse

# Estimated seconds for the 18 sizes of sections 12 and 13: each case echoes 1,000 messages. Wrong
# estimates only make the parts less equal.
DEFLATE_SECONDS = (
    [0.7, 0.7, 0.8, 1, 0.8, 0.9, 1.4, 2, 3.5, 5.5] + [1.1, 1.6, 2.3, 3.8, 6.9, 6, 6, 5.3]
)


def weight(case):
    """The estimated seconds of a case."""
    section, *rest = (int(number) for number in case.split("."))
    if section in (12, 13) and 1 <= rest[-1] <= len(DEFLATE_SECONDS):
        return DEFLATE_SECONDS[rest[-1] - 1]
    if section == 6 and rest[0] == 4:
        return 2.0
    return 0.1


def split(cases, parts):
    """Distributes the cases over `parts` lists of about equal weight, the heaviest first."""
    lists = [[] for _ in range(min(parts, len(cases)))]
    loads = [0.0] * len(lists)
    for case in sorted(cases, key=weight, reverse=True):
        lightest = loads.index(min(loads))
        lists[lightest].append(case)
        loads[lightest] += weight(case)
    return lists


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    template, url, folder, parts = sys.argv[1:]
    spec = json.loads(pathlib.Path(template).read_text(encoding="utf-8"))
    server = spec["servers"][0]
    server["url"] = url
    target = urllib.parse.urlsplit(url)
    if target.scheme == "wss":
        # Without a name the suite verifies nothing.
        server["hostname"] = target.hostname
    lists = split(sys.stdin.read().split(), int(parts))
    for number, cases in enumerate(lists, 1):
        part = pathlib.Path(folder) / str(number)
        (part / "report").mkdir(parents=True)
        spec["outdir"] = str(part / "report")
        spec["cases"] = cases
        (part / "spec.json").write_text(json.dumps(spec, indent=2), encoding="utf-8")
    print(len(lists))


if __name__ == "__main__":
    main()
