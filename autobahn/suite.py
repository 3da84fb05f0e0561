"""The parts that use the Autobahn test suite's own modules; for its Python 2.7 environment.

    suite.py list PATTERN...        the ids of the cases that match, one on a line
    suite.py merge REPORT PART...   joins the reports of parallel runs into the folder REPORT

Patterns are Autobahn's: `*`, `9.*`, `6.4.1`.
"""

from __future__ import print_function

import json
import os
import shutil
import sys

from autobahntestsuite.case import (
    CaseBasename,
    CaseCategories,
    Cases,
    CaseSetname,
    CaseSubCategories,
)
from autobahntestsuite.caseset import CaseSet
from autobahntestsuite.fuzzing import FuzzingFactory


def case_set():
    return CaseSet(CaseSetname, CaseBasename, Cases, CaseCategories, CaseSubCategories)


def list_cases(patterns):
    cases = case_set()
    chosen = cases.parseSpecCases({"cases": patterns})
    unknown = [case for case in chosen if case not in cases.CasesById]
    if unknown or not chosen:
        sys.exit("suite.py: no case %s; give ids or patterns such as 6.4.1 or 9.*"
                 % ", ".join(unknown or patterns))
    print("\n".join(chosen))


def merge(report, parts):
    """Moves the files of every case into `report` and writes a new index there."""
    factory = FuzzingFactory(report)
    factory.CaseSet = case_set()
    for part in parts:
        with open(os.path.join(part, "index.json")) as index_file:
            index = json.load(index_file)
        for name in os.listdir(part):
            if not name.startswith("index."):
                shutil.move(os.path.join(part, name), os.path.join(report, name))
        for agent, cases in index.items():
            for case, entry in cases.items():
                with open(os.path.join(report, entry["reportfile"])) as case_file:
                    factory.agents.setdefault(agent, {})[case] = json.load(case_file)
    factory.createMasterReportHTML(report)
    factory.createMasterReportJSON(report)


def main(arguments):
    if len(arguments) >= 2 and arguments[0] == "list":
        list_cases(arguments[1:])
    elif len(arguments) >= 3 and arguments[0] == "merge":
        merge(arguments[1], arguments[2:])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
