"""The page in a browser: Python becomes ready, the snapshot answers until then, and a worker that dies is restarted."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import microgpt
from microgpt.lab.server import SITE, Pages, export
from microgpt.lab.session import Session

from lab.page.browser import LATER, CountingServer, Visit
from lab.page.plain_host import plain_host
from lab.session_client import ask

BUDGET = 300_000  # bytes before Python


def differences(a: Any, b: Any, where: str = "") -> Iterator[str]:
    """Yield where two responses differ, numbers by more than 1e-12; facts about Python and the engine are ignored."""
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        for key in a.keys() - {"python", "engine", "note"}:
            yield from differences(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b)):
            yield from differences(x, y, f"{where}[{i}]")
    elif isinstance(a, (int, float)) and isinstance(b, (int, float)):
        if not math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12):
            yield f"{where}: {a!r}, {b!r}"
    elif a != b:
        yield f"{where}: {str(a)[:80]!r}, {str(b)[:80]!r}"


def snapshot() -> Iterator[tuple[str, str, dict[str, Any], Any]]:
    """Yield the (key, method, parameters, response) of all responses in the snapshot."""
    index: dict[str, Any] = json.loads((SITE / "snapshot.json").read_text())
    long = {key: json.loads((SITE / file).read_text()) for key, file in index["files"].items()}
    for key, response in {**index["responses"], **long}.items():
        method, params = key.split(" ", 1)
        yield key, method, json.loads(params), response


@pytest.mark.smoke
def test_python_becomes_ready_in_the_background(visit: Visit) -> None:
    visit.open()
    visit.ready()
    assert visit.ask("hello")["version"] == microgpt.__version__
    assert visit.ask("model")["engine"] == "native"  # the kernel is WebAssembly here


def test_little_is_transferred_before_python(visit: Visit, lab_server: CountingServer) -> None:
    lab_server.sent.clear()
    visit.open()
    visit.ready()
    sent = list(lab_server.sent)
    last = max(i for i, (path, _) in enumerate(sent) if path.startswith(LATER))  # then come the exercises
    before = [(path, size) for path, size in sent[:last] if not path.startswith(LATER)]
    total = sum(size for _, size in before)
    print(f"{total:,} bytes are transferred before Python, {sum(size for _, size in lab_server.sent):,} with it")
    assert {"", "snapshot.json"} < {path for path, _ in before}
    assert {"microgpt.zip", "kernel.wasm", "pyodide/pyodide.asm.wasm"} < {path for path, _ in lab_server.sent}
    assert total < BUDGET, before


def test_the_snapshot_responses_without_python(visit: Visit) -> None:
    visit.page.route("**/pyodide/**", lambda route: route.abort())
    visit.open()
    for _, method, params, response in snapshot():
        assert visit.ask(method, **params) == response
    status = visit.started()
    assert status["state"] == "failed"
    assert status["why"].startswith("Python could not be loaded: ")
    with pytest.raises(Exception, match="Python could not be loaded: "):
        visit.ask("tokens", text="not in the snapshot")
    visit.errors = [error for error in visit.errors if "ERR_FAILED" not in error]  # the blocked requests


def test_python_takes_over_without_a_jump(visit: Visit) -> None:
    visit.open()
    visit.ready()
    natively = Session()
    for key, method, params, response in snapshot():
        assert list(differences(response, ask(natively, method, **params)))[:5] == [], key
        assert list(differences(response, visit.ask(method, **params)))[:5] == [], key


def test_errors_are_single_sentences(visit: Visit) -> None:
    visit.open()
    visit.ready()
    natively = Session().ask("forward", {"word": 7})["error"]
    response = visit.page.evaluate(
        "lab.ask('forward', { word: 7 }).catch((error) => [error.constructor.name, error.message])"
    )
    assert response[1] == natively
    assert len(natively.splitlines()) == 1


DEATHS = {
    "by an exception": "setTimeout(() => { throw new Error('the end') })",
    "without a word": "self.close()",
}


@pytest.mark.parametrize("death", DEATHS)
def test_a_worker_that_dies_is_restarted_with_its_state(visit: Visit, death: str) -> None:
    visit.open()
    visit.ready()
    visit.page.evaluate("lab.stream('train', { steps: 5 }, () => {}).ended")
    visit.ask("change", path="wte[1][2]", value=0.5)  # not saved when the worker dies: the page repeats it
    before = {name: visit.ask(name) for name in ("model", "parameters")}
    [worker] = visit.page.workers
    worker.evaluate(DEATHS[death])
    assert visit.ready(restarts=1)["lost"] == ""
    after = {name: visit.ask(name) for name in ("model", "parameters")}
    for responses in (before, after):
        for response in responses.values():
            response.pop("version")  # a restored model has another version
    assert list(differences(before, after))[:5] == []
    visit.errors = [error for error in visit.errors if "the end" not in error]


def test_an_error_while_restoring_is_shown_until_the_next_change(visit: Visit) -> None:
    visit.open()
    visit.ready()
    visit.page.evaluate("lab.stream('train', { steps: 5 }, () => {}).ended")
    visit.ask("save")  # responses come in order, so the page's own save is complete
    visit.page.evaluate(
        """() => {  // replace the saved state by nonsense
          const post = Worker.prototype.postMessage
          Worker.prototype.postMessage = function (message) {
            if (message.ask?.method === 'restore') {
              const state = message.ask.params.state.replace('microgpt lab/1', 'nonsense')
              message = { ...message, ask: { method: 'restore', params: { state } } }
            }
            post.call(this, message)
          }
        }"""
    )
    [worker] = visit.page.workers
    worker.evaluate(DEATHS["without a word"])
    status = visit.ready(restarts=1)
    assert status["lost"].startswith("cannot read the saved state")
    visit.page.wait_for_function(
        "(lost) => document.querySelector('.bar').innerText.includes(lost)", arg=status["lost"]
    )
    assert visit.ask("model")["step"] == 1000
    visit.section(8)
    visit.page.get_by_role("button", name="train 1", exact=True).click()
    visit.page.wait_for_function(
        "(lost) => !document.querySelector('.bar').innerText.includes(lost)", arg=status["lost"]
    )


def test_the_curve_of_a_scrubbed_run_continues_from_there_while_it_trains(visit: Visit) -> None:
    visit.open("#section=8")
    visit.ready()
    visit.page.get_by_role("button", name="use random weights").click()
    visit.settle()
    visit.page.get_by_role("button", name="train 100", exact=True).click()
    visit.page.get_by_text("100 of 1,000 steps are complete").wait_for()
    visit.settle()
    slider = visit.page.locator(".scrub input")
    slider.evaluate("(input) => { input.value = 5; input.dispatchEvent(new Event('change', { bubbles: true })) }")
    visit.page.get_by_text("5 of 1,000 steps are complete", exact=False).wait_for()
    visit.settle()
    seen = visit.page.evaluate(
        """() => new Promise((done) => {  // the end of the curve at the first event
          const slider = document.querySelector('.scrub input')
          new MutationObserver(() => {
            const now = document.querySelector('main dl [data-path^="run.loss"]')?.dataset.path
            const isTraining = document.querySelector('.now').innerText.startsWith('step')
            if (isTraining && now !== 'run.loss[5]') done([now, document.querySelector('.now').innerText])
          }).observe(document.querySelector('main'), { subtree: true, childList: true, characterData: true })
          ;[...document.querySelectorAll('button')].find((b) => b.textContent.startsWith('Continue to step')).click()
        })"""
    )
    assert seen[1].startswith(f"step {seen[0][9:-1]} of ")


def test_the_address_always_describes_the_current_model(visit: Visit) -> None:
    def shown() -> tuple[str, str, int]:
        model = visit.ask("model")
        return visit.page.evaluate("location.hash"), model["name"], model["step"]

    visit.open()
    visit.ready()
    visit.page.evaluate("location.hash = '#section=8&step=20'")  # a link in an open tab
    visit.page.get_by_text("20 of 1,000 steps are complete").wait_for()
    visit.settle()
    assert shown() == ("#section=training&step=20", "my run", 20)
    visit.page.get_by_role("link", name="Gene").click()
    visit.settle()
    assert shown() == ("#section=generation&step=20", "my run", 20)
    visit.page.go_back()
    visit.settle()
    assert shown() == ("#section=training&step=20", "my run", 20)
    visit.page.evaluate("""location.hash = '#section=8&step=3&config={"n_embd":7}'""")
    visit.page.get_by_text(
        "The model in this link cannot be reproduced: n_embd must be a multiple of n_head"
    ).wait_for()
    assert shown() == ("#section=training&step=20", "my run", 20)
    visit.section(3)
    assert shown() == ("#section=parameters&step=20", "my run", 20)


def test_the_address_describes_a_new_run_after_the_pretrained_one_was_trained(visit: Visit) -> None:
    visit.open("#section=8")
    visit.ready()
    visit.settle()
    visit.page.get_by_role("radio", name="the trained model").click()
    visit.page.get_by_role("button", name="train 1", exact=True).click()
    visit.page.get_by_text("1,001 steps are complete").wait_for()
    visit.settle()
    assert visit.page.evaluate("location.hash") == "#section=training"  # a link has no pretrained weights
    visit.page.get_by_role("button", name="use random weights").click()
    visit.page.get_by_role("button", name="train 10", exact=True).click()
    visit.page.get_by_text("10 of 1,000 steps are complete").wait_for()
    assert visit.linked("step=10") == "#section=training&step=10&config=%7B%22val_fraction%22%3A0.1%7D"


def test_a_request_that_crashes_python_fails_and_the_others_are_answered(visit: Visit) -> None:
    visit.open()
    visit.ready()
    visit.ask("change", path="wte[1][2]", value=0.5)
    # the worker gets a Python that crashes at one request, as it may when memory runs out
    [worker] = visit.page.workers
    worker.evaluate(
        """const ask = self.onmessage
        self.onmessage = (message) => {
          if (message.data.ask?.params.text === 'evil') throw new Error('broken')
          ask(message)
        }
        void 0"""
    )
    tokens, changed, model = visit.page.evaluate(
        """Promise.all([
          lab.ask('tokens', { text: 'evil' }),
          lab.ask('change', { path: 'wte[0][0]', value: 1 }).catch((error) => error.message),
          lab.ask('model', {}),
        ])"""
    )
    assert len(tokens["ids"]) == 6  # asked again, of the next worker
    assert changed == "Python crashed on this request and was restarted with its previous state"
    assert [change["path"] for change in model["changes"]] == ["wte[1][2]"]
    visit.errors = [error for error in visit.errors if "broken" not in error]


def test_stop_ends_the_computation_and_keeps_the_state(visit: Visit) -> None:
    visit.open()
    visit.ready()
    visit.ask("change", path="wte[1][2]", value=0.5)
    stopped = visit.page.evaluate(
        "async () => { const { ended } = lab.stream('train', { steps: 1000000 }, () => {});"
        " setTimeout(() => lab.stop(), 50); return ended.catch((error) => error.message) }"
    )
    assert stopped == "stopped"
    assert visit.ready(restarts=1)["lost"] == ""
    assert visit.ask("parameters")["tensors"]["wte"]["data"][18] == pytest.approx(0.5, abs=0.3)


def test_a_stream_stops_between_two_events_and_others_are_answered_meanwhile(visit: Visit) -> None:
    visit.open()
    visit.ready()
    counts = visit.page.evaluate(
        """async () => {
          let events = 0
          const { stop, ended } = lab.stream('train', { steps: 1000000, per_event: 10 }, () => (events += 1))
          while (events < 3) await lab.ask('model', {})
          stop()
          await ended
          const then = events
          const step = (await lab.ask('model', {})).step
          await new Promise((r) => setTimeout(r, 200))
          return [then, events, step, (await lab.ask('model', {})).step]
        }"""
    )
    assert counts[0] == counts[1] >= 3
    assert counts[2] == counts[3] > 1000


def test_the_export_works_on_any_host_under_any_address(visit: Visit, tmp_path: Path) -> None:
    export(Pages(), tmp_path / "deep" / "page")
    with plain_host(tmp_path) as address:
        visit.address = f"{address}deep/page/"
        visit.open()
        visit.ready()
        assert visit.ask("model")["engine"] == "native"
        # the other sections are loaded last: serve until there are no more requests
        visit.page.wait_for_function(
            """async () => {
              const count = () => performance.getEntriesByType('resource').length
              const before = count()
              await new Promise((later) => setTimeout(later, 500))
              return count() === before
            }"""
        )


def test_a_request_to_another_host_would_be_noticed(chromium: Any, lab_server: CountingServer) -> None:
    """A test of the test: the page's security policy refuses the request, and the tab refuses those of other pages."""
    visit = Visit(chromium, lab_server.url)
    visit.open()
    visit.page.evaluate("fetch('http://192.0.2.1/').catch(() => 0)")
    assert any("Content Security Policy" in error for error in visit.errors)
    elsewhere = visit.context.new_page()
    elsewhere.set_content("<img src='http://example.com/x.png'>")
    elsewhere.wait_for_load_state("networkidle")
    assert visit.refused == ["http://example.com/x.png"]
    visit.context.close()
