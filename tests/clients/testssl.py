#!/usr/bin/env python3
"""Judges what testssl.sh has found.

    testssl.py EXPLANATIONS FINDINGS

EXPLANATIONS is a file with a table whose first column has the ids of findings that are accepted,
FINDINGS what testssl.sh --jsonfile has written. Exit status 0 if nothing above LOW was found that
is not explained, and the scan is complete; 1 otherwise, 2 if a file cannot be read.
"""

import json
import re
import sys
from pathlib import Path

FINE = ("OK", "INFO", "LOW", "DEBUG")
# What a complete scan has found of this server, some from each of its parts. That an old version is
# not offered is INFO; LOW or more that it is.
WANTED = {
    "TLS1": "INFO",
    "TLS1_1": "INFO",
    "TLS1_2": "OK",
    "TLS1_3": "OK",
    "cipherlist_STRONG": "OK",
    "cert_chain_of_trust": "OK",
    "heartbleed": "OK",
    "ROBOT": "OK",
    "secure_renego": "OK",
    "secure_client_renego": "OK",
    "BREACH": "OK",
    "LUCKY13": "OK",
    "RC4": "OK",
}


def main():
    if len(sys.argv) != 3:
        print("usage: testssl.py EXPLANATIONS FINDINGS", file=sys.stderr)
        return 2
    try:
        table = Path(sys.argv[1]).read_text(encoding="utf-8")
        findings = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"testssl.py: error: {error}", file=sys.stderr)
        return 2
    explained = set(re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE))
    found = {}
    for finding in findings:
        found.setdefault(finding["id"], []).append(finding["severity"])
    wrong = []
    for wanted, severity in WANTED.items():
        if severity not in found.get(wanted, ()):
            wrong.append(f"{wanted} is {found.get(wanted, 'missing')}, not {severity}")
    above = [finding for finding in findings if finding["severity"] not in FINE]
    for finding in above:
        line = f"{finding['id']}: {finding['severity']}: {finding['finding']}"
        if finding["id"] in explained:
            print(f"explained  {line}")
        else:
            wrong.append(line)
    for line in wrong:
        print(f"NOT EXPLAINED  {line}")
    print(f"testssl.sh: {len(findings)} findings, {len(above)} above LOW, {len(wrong)} unexplained")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
