"""Fail if a golden test of a test report (JUnit XML) was skipped, or none was run."""

import sys
import xml.etree.ElementTree as ElementTree

golden = [case for case in ElementTree.parse(sys.argv[1]).iter("testcase") if "golden" in case.get("name", "")]
skipped = [case.get("name") for case in golden if case.find("skipped") is not None]
if skipped or not golden:
    sys.exit(f"the golden run was skipped: {', '.join(map(str, skipped)) or 'no such test'}")
print(f"the golden run was run: {len(golden)} tests")
