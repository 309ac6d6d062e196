"""Fail if a test report (JUnit XML) shows that a golden test was skipped, or that no golden test ran.

A missing tool or interpreter is an acceptable reason to skip a test; missing data is not.
"""

import sys
import xml.etree.ElementTree as ElementTree

MAY_LACK = ("no Python", "the WebAssembly module needs node", "needs Pyodide")

cases = ElementTree.parse(sys.argv[1]).iter("testcase")
golden = [case for case in cases if case.find("properties/property[@name='golden']") is not None]
skips = {f"{case.get('classname')}.{case.get('name')}": case.find("skipped") for case in golden}
reasons = {name: skip.get("message", "") for name, skip in skips.items() if skip is not None}
skipped = [f"{name} ({reason})" for name, reason in reasons.items() if not reason.startswith(MAY_LACK)]
if skipped or len(reasons) == len(golden):
    sys.exit(f"golden tests were skipped: {'; '.join(skipped) or 'none ran'}")
print(f"{len(golden) - len(reasons)} golden tests compared results with the published run")
