"""The choices that requests accept as parameters.

Feature modules import this module, so it defines nothing else.
"""

from typing import Literal

Pretrained = Literal["names", "published"]  # the ids of the runs that come with the package
Documents = Literal["lines", "stream"]
Order = Literal["topological", "naive"]  # the order in which backward visits the nodes
Times = Literal[1, 2]  # how many times backward is called
UpdateQuantity = Literal["grad", "m", "v", "m_hat", "v_hat", "delta"]  # what an update reports for each weight
Landscape = Literal["ravine", "valleys"]  # what a loss surface that the engine finds has to show
ChapterName = Literal["data", "tokens", "forward", "loss", "backward", "adam", "sample"]
PairDifference = Literal["learning_rate", "seed", "weight"]  # what differs between the two runs of a pair
