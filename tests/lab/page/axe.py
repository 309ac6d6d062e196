"""axe-core, the accessibility checker, run in the page."""

from __future__ import annotations

from lab.page.browser import ROOT, Visit

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"


def violations(tab: Visit, axe: str, *rules: str) -> list[str]:
    """Return the violations of all of axe's rules, or of the given rules."""
    if not tab.page.evaluate("'axe' in globalThis"):
        tab.page.evaluate(axe)
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found = tab.page.evaluate("(options) => axe.run(options)", options)["violations"]
    return [
        f"{rule['id']}: {node['target']} {(node['any'] or node['all'] or node['none'])[0]['message']}"
        for rule in found
        for node in rule["nodes"]
    ]
