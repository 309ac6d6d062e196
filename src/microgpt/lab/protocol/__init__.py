"""What the page and the session say to each other: the type of every answer, with the meaning of each field.

Answers are plain data: dicts, sequences, strings and numbers. web/protocol.py writes web/src/engine/protocol.ts from
these types and from the registered requests (lab/requests.py); comments beside and above a field go along.
"""

SCHEMA = 1  # counts up when a request or a field goes, or means something else
