"""Fail if a golden test of a test report (JUnit XML) was skipped, or none was run.

An interpreter that is not installed is no reason to fail; data that are missing are.
"""

import sys
import xml.etree.ElementTree as ElementTree

golden = [case for case in ElementTree.parse(sys.argv[1]).iter("testcase") if "golden" in case.get("name", "")]
skips = {case.get("name"): case.find("skipped") for case in golden}
reasons = {name: skip.get("message", "") for name, skip in skips.items() if skip is not None}
skipped = [f"{name} ({reason})" for name, reason in reasons.items() if not reason.startswith("no Python")]
if skipped or len(reasons) == len(golden):
    sys.exit(f"the golden run was skipped: {'; '.join(skipped) or 'no such test was run'}")
print(f"the golden run was run: {len(golden) - len(reasons)} tests")
