"""Fail if a golden test of a test report (JUnit XML) was skipped, or none was run.

A tool or an interpreter that is not installed is no reason to fail; data that are missing are.
"""

import sys
import xml.etree.ElementTree as ElementTree

MAY_LACK = ("no Python", "qemu-aarch64", "node and", "Pyodide")

cases = ElementTree.parse(sys.argv[1]).iter("testcase")
golden = [case for case in cases if case.find("properties/property[@name='golden']") is not None]
skips = {f"{case.get('classname')}.{case.get('name')}": case.find("skipped") for case in golden}
reasons = {name: skip.get("message", "") for name, skip in skips.items() if skip is not None}
skipped = [f"{name} ({reason})" for name, reason in reasons.items() if not reason.startswith(MAY_LACK)]
if skipped or len(reasons) == len(golden):
    sys.exit(f"the published run was skipped: {'; '.join(skipped) or 'no such test was run'}")
print(f"the published run was compared by {len(golden) - len(reasons)} tests")
