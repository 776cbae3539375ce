"""What needs a person is told, once, to the command or webhook that the program names, and shown."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from faulty import Faults
from labs import TRAIN, Lab
from models import CANARY, Refusal, model
from places import until


@contextmanager
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that keeps what it is told, and its address."""
    told: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hooks/s3cret", told
    finally:
        server.shutdown()
        server.server_close()


def test_a_baseline_that_fails_is_told_to_a_command(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(alert="cat >> $HOME/told.json; echo >> $HOME/told.json")
    lab.write("train.py", "LR = 0.1\nraise SystemExit('there is no data')\n")
    lab.commit("Break it")
    lab.night("--experiments", "3", code=4)
    told = [json.loads(line) for line in (lab.place.path / "home/told.json").read_text().splitlines()]
    assert [(each["alert"], each["schema"]) for each in told] == [("baseline", 1)], told
    assert told[0]["text"].startswith("lab: the baseline fails") and told[0]["lab"] == str(lab.root)
    view = lab.overnight("loop", "status").out
    assert view.count("the baseline fails") >= 1


def test_crashes_in_a_row_are_told_to_a_webhook_once(make_lab: Callable[..., Lab]) -> None:
    with webhook() as (address, told):
        lab = make_lab(alert="$NIGHT_WEBHOOK", crashes=2)
        agent = lab.proposer(
            f"""
            import json, sys
            number = json.load(sys.stdin)["number"]
            open("train.py", "w").write({TRAIN!r} + "\\nraise RuntimeError(%d)" % number)
            print(json.dumps({{"hypothesis": "break it once more"}}))
            """
        )
        env = {"NIGHT_WEBHOOK": address}
        done = lab.night("--experiments", "9", "--agent", agent, code=1, env=env)
        assert "crashed" in done.text
        until(lambda: told, "the webhook is told")
        until(lambda: lab.runner_or_none() is None, "the runner is gone")
        assert [each["alert"] for each in told] == ["failed"], told
        assert "the last 2 experiments crashed" in told[0]["text"] and told[0]["best"]["number"] == 0
        assert "s3cret" not in lab.overnight("loop", "status").text, "an address is as good as a key"


def test_costs_that_are_spent_and_a_wrong_key(make_lab: Callable[..., Lab]) -> None:
    with webhook() as (address, told):
        lab = make_lab(alert=address, ahead=False)
        agent = lab.proposer(
            f"""
            import json, sys
            number = json.load(sys.stdin)["number"]
            open("train.py", "w").write({TRAIN!r}.replace("0.10", f"0.1{{number}}"))
            cost = {{"usd": 0.25, "input_tokens": 9, "output_tokens": 9}}
            print(json.dumps({{"hypothesis": f"idea {{number}}", "cost": cost}}))
            """
        )
        lab.night("--experiments", "9", "--max-cost", "0.4", "--agent", agent)
        until(lambda: len(told) == 1, "the webhook is told")
        assert (told[0]["alert"], told[0]["experiments"]) == ("budget", 3) and "$0.50 of $0.40" in told[0]["text"]
        assert "needs you: the loop ends" in lab.overnight("loop", "status").out or lab.runner_or_none() is None
        with model(lambda _: Refusal(401, f"invalid x-api-key: {CANARY}")) as it:
            lab.overnight("loop", "start", "--agent", "anthropic:claude-opus-5", "--experiments", "9", env=it.env())
            until(lambda: len(told) == 2, "the pause is told")
            assert told[1]["alert"] == "paused" and CANARY not in json.dumps(told[1])
            assert "needs you: paused" in lab.overnight("loop", "status").out
            lab.overnight("loop", "resume")
            until(lambda: len(told) == 3, "a person has gone on with it: the next pause is told again")
            lab.overnight("loop", "stop")
            lab.overnight("loop", "wait", code=None)
        assert [each["alert"] for each in told] == ["budget", "paused", "paused"]


def test_a_full_disk_is_told_once_and_over_when_there_is_room(make_lab: Callable[..., Lab]) -> None:
    with webhook() as (address, told):
        lab = make_lab(alert=address)
        faults = Faults(lab)
        lab.hold()
        full = faults.strike("ENOSPC", path=lab.root / ".git")
        lab.overnight("loop", "start", "--experiments", "3", "--seed", "3", env=full)
        lab.go(0)
        lab.has_started(1)
        faults.begin()
        lab.go()
        until(lambda: told, "the full disk is told")
        assert told[0]["alert"] == "trouble" and "the disk is full" in told[0]["text"], told
        assert "needs you: " in lab.overnight("loop", "status").out
        faults.end()
        lab.overnight("loop", "wait")
        assert len(lab.is_sound(3)) == 3 and not lab.status().get("alerts")
        assert [each["alert"] for each in told] == ["trouble"]


def test_a_program_that_is_broken_meanwhile_is_told_where_it_said_last(make_lab: Callable[..., Lab]) -> None:
    with webhook() as (address, told):
        lab = make_lab(alert=address)
        lab.hold()
        lab.overnight("loop", "start", "--experiments", "3")
        lab.go(0)
        lab.has_started(1)
        lab.write("program.md", "---\nmetric: [val_bpb\n---\nExplore.\n")
        lab.go()
        until(lambda: told, "the program that cannot be read is told")
        assert told[0]["alert"] == "program" and "program.md" in told[0]["text"], told
        assert "needs you: " in lab.overnight("loop", "status").out
        lab.program(alert=address)
        lab.overnight("loop", "wait")
        assert len(lab.experiments()) == 3 and [each["alert"] for each in told] == ["program"]


def test_an_alert_that_cannot_be_told_costs_nothing(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab(alert="$NOT_SET")
    lab.write("train.py", "LR = 0.1\nraise SystemExit(3)\n")
    lab.commit("Break it")
    lab.night("--experiments", "3", code=4)
    for alert, says in (("http://example.org/x", "unencrypted"), ("http://localhost@example.org/", "unencrypted"),
                        ("", "is empty")):
        lab.program(alert=alert)
        assert says in lab.overnight("program", code=3).err
