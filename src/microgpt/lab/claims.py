"""Check what the page's texts claim about the model that the page opens with.

    python -m microgpt.lab.claims CLAIMS.json

A claim is a text with a Python expression that is true if the text is. web/claims.mjs writes the claims of the page's
texts as a JSON list of {"file", "text", "check"}. This command evaluates each expression in a new session and prints a
line for each claim that does not hold; build_site.py then refuses to build the page. An expression can use:

    loss(word)                the word's mean loss in nats per token, including BOS at the end
    losses(word)              the loss of each letter and of BOS at the end, as a list
    chance(prefix, letter, temperature=1)  the probability that the letter comes after the prefix; "" is BOS, the end
    chances(prefix, temperature=1)  the probability of each letter after the prefix, by letter
    curve()                   the loss at each step of the model's training, if it was trained here
    moves(word, fresh=False)  for each parameter, its gradient for the word and how far an update then moves it; a fresh
                              update starts with an empty memory
    known(word)               whether the model trained on this document
    held_out(word)            whether the document is in the text but was held out from training
    attention(word)           the attention weights, [layer][head][position][source]
    ask(method, **params)     the response to any request
    after(method, **params)   all of this for a copy of the session in which this request has changed the model, or in
                              which this stream has run to its end: after('train', steps=100).loss('emma')
    uniform                   the loss of a model that gives every token the same probability
    documents                 the texts of the model's data, as in the file
    model, examples           the responses to the requests of these names

and Python's abs, all, any, len, max, min, range, round, set, sorted, sum and zip.
"""

from __future__ import annotations

import ast
import difflib
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypedDict

from microgpt.errors import LabError
from microgpt.lab.requests import REQUESTS, Response
from microgpt.lab.session import Session

BUILTINS = (abs, all, any, len, max, min, range, round, set, sorted, sum, zip)
OF_WORD = ("loss", "losses", "chance", "chances", "moves", "known", "held_out", "attention")
FUNCTIONS = (*OF_WORD, "curve", "ask", "after")  # the methods of Checker that an expression can call
VALUES = ("uniform", "documents", "model", "examples")  # computed when an expression first uses them
MAX_SHOWN = 300  # characters of a value in a message


class Claim(TypedDict):
    """A claim, as web/claims.mjs writes it."""

    file: str
    text: str
    check: str


class Checker:
    """Evaluate claims in a session, by default a new one, which has the model that the page opens with.

    Example:
        >>> claim: Claim = {"file": "text.ts", "text": "It is sure of emma.", "check": "loss('emma') < 1"}
        >>> print(Checker().fault(claim))  # doctest: +ELLIPSIS
        text.ts: "It is sure of emma." is not true: `loss('emma') < 1` is False; loss('emma') = 2...
    """

    def __init__(self, session: Session | None = None) -> None:
        self.session = session or Session()
        self._used: dict[str, Any] = {}  # the values that the current expression has used
        self._values: dict[str, Any] = {}
        self._after: dict[str, Checker] = {}  # by the request
        self._functions: dict[str, Any] = {name: self._noted(getattr(self, name)) for name in FUNCTIONS}
        self._functions |= {f.__name__: f for f in BUILTINS}

    def __repr__(self) -> str:
        return f"the model “{self.session.active.name}”"

    def fault(self, claim: Claim) -> str | None:
        """Return None if the claim holds, otherwise a line with its text, its expression and the values it used."""
        self._used.clear()
        try:
            held = self._evaluate(claim["check"])
            if held is True:
                return None
            why = "is False" if held is False else f"is {_shown(held)} instead of True or False"
        except Exception as error:  # an expression can raise anything
            why = f"fails: {error if isinstance(error, (LabError, NameError)) else repr(error)}"
        values = "".join(f"; {name} = {_shown(value)}" for name, value in self._used.items())
        text = json.dumps(claim["text"], ensure_ascii=False)
        return f"{claim['file']}: {text} is not true: `{claim['check']}` {why}{values}"

    def _evaluate(self, check: str) -> Any:
        tree = ast.parse(check.strip(), "<claim>", "eval")
        names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        own = {name.id for name in names if isinstance(name.ctx, ast.Store)}  # variables of comprehensions
        known = [*self._functions, *VALUES]
        for name in sorted({name.id for name in names} - own - {*known}):
            close = difflib.get_close_matches(name, known, 1)
            raise NameError(f"there is no {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
        for name in VALUES:
            if any(used.id == name for used in names):
                self._used[name] = self._value(name)
        return eval(compile(tree, "<claim>", "eval"), {"__builtins__": {}, **self._functions, **self._values})

    def _value(self, name: str) -> Any:
        if name not in self._values:
            own = {"uniform": lambda: self.session.active.uniform_loss, "documents": self._documents}
            self._values[name] = own[name]() if name in own else self.ask(name)
        return self._values[name]

    def _documents(self) -> list[str]:
        data = self.session.active.run.data
        return [data.text(i) for i in range(len(data))]

    def _noted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, made to note each call's result for the message."""

        def noted(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            given = [*map(repr, args), *(f"{name}={value!r}" for name, value in kwargs.items())]
            self._used[f"{function.__name__}({', '.join(given)})"] = result
            return result

        return noted

    # --- the functions that an expression can call

    def ask(self, method: str, **params: Any) -> Any:
        if method in REQUESTS and REQUESTS[method].changes:
            raise LabError(f"{method} changes the model for every claim: use after({method!r}, ...)")
        return _result(method, self.session.ask(method, params))

    def after(self, method: str, **params: Any) -> Checker:
        request = f"{method} {json.dumps(params, sort_keys=True)}"
        if request not in self._after:
            session = Session()
            _result("restore", session.ask("restore", {"state": self.ask("save")["state"]}))
            streams = method in REQUESTS and REQUESTS[method].streams
            for response in session.stream(method, params) if streams else [session.ask(method, params)]:
                _result(method, response)
            self._after[request] = Checker(session)
        return self._after[request]

    def loss(self, word: str) -> float:
        return float(self.ask("loss", word=self._readable(word))["mean"])

    def losses(self, word: str) -> list[float]:
        return [letter["loss"] for letter in self.ask("loss", word=self._readable(word))["letters"]]

    def chance(self, prefix: str, letter: str, temperature: float = 1.0) -> float:
        self._readable(letter)
        return self.chances(prefix, temperature)[letter]

    def chances(self, prefix: str, temperature: float = 1.0) -> dict[str, float]:
        tokens, run = self.session.tokens(self._readable(prefix)), self.session.active
        position = len(tokens) - 2  # of the prefix's last letter; BOS is at 0 and after the prefix
        if position >= run.config.block_size:
            raise LabError(f"the model reads {run.config.block_size} tokens, too few to continue {prefix!r}")
        logits = self.session.forward(tokens)[f"pos{position}.logits"].numbers
        probs = self.ask("softmax", logits=list(logits), scales=[1 / temperature])["probs"][0]
        return dict(zip(self.ask("model")["symbols"], probs))

    def curve(self) -> list[float]:
        [run] = [run for run in self.ask("runs")["runs"] if run["active"]]
        return list(run["losses"])

    def moves(self, word: str, fresh: bool = False) -> list[tuple[float, float]]:
        grads = self.ask("gradients", word=self._readable(word))["grads"]
        updated = self.ask("update", word=word, what=["delta"], fresh=fresh)["tensors"]
        return [pair for name, grad in grads.items() for pair in zip(grad, updated[name]["delta"])]

    def known(self, word: str) -> bool:
        return self.session.active.part(word) == "training"

    def held_out(self, word: str) -> bool:
        return self.session.active.part(word) == "held out"

    def attention(self, word: str) -> list[Any]:
        weights: list[Any] = self.ask("attention", word=self._readable(word))["weights"]
        return weights

    def _readable(self, word: str) -> str:
        """Return the word if the model can read all of it; a request would silently omit the unknown characters."""
        if unknown := self.ask("tokens", text=word)["unknown"]:
            raise LabError(f"the model cannot read {unknown[0]!r} in {word!r}")
        return word


def faults(claims: Iterable[Claim]) -> list[str]:
    """Return a line for each claim that does not hold."""
    checker = Checker()
    return [fault for claim in claims if (fault := checker.fault(claim))]


def _result(method: str, response: Response) -> Any:
    if "error" in response:
        raise LabError(f"{method}: {response['error']}")
    return response["result"]


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def main() -> None:
    """Print a line for each claim in the file named on the command line that does not hold."""
    claims = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for fault in faults(claims):
        print(fault)


if __name__ == "__main__":
    main()
