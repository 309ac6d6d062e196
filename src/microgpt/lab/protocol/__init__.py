"""The protocol between the page and the session: the type and fields of every response.

A comment beside a field explains the field. Responses are plain data: dicts, sequences, strings and numbers.
web/protocol.py generates web/src/engine/protocol.ts from these types and the registered requests (lab/requests.py), and
copies the comments beside and above the fields.
"""

SCHEMA = 2  # incremented when a request or field is removed or changes its meaning
