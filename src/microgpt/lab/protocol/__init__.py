"""The protocol between the page and the session: the type and fields of every answer.

Each field has its meaning beside it. Answers are plain data: dicts, sequences, strings and numbers. web/protocol.py
writes web/src/engine/protocol.ts from these types and from the registered requests (lab/requests.py); comments beside
and above a field go along.
"""

SCHEMA = 1  # counts up when a request or a field goes, or means something else
