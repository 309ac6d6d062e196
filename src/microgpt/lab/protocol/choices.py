"""The choices that requests accept as parameters.

Feature modules import them, so nothing else is defined here.
"""

from typing import Literal

Documents = Literal["lines", "stream"]
Order = Literal["topological", "naive"]  # the order in which backward visits the nodes
Times = Literal[1, 2]  # the number of calls of backward
UpdateQuantity = Literal["grad", "m", "v", "m_hat", "v_hat", "delta"]  # what an update reports for each parameter
ChapterName = Literal["data", "tokens", "forward", "loss", "backward", "adam", "sample"]
