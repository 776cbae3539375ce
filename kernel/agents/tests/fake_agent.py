#!/usr/bin/env python3
"""An agent that behaves as it is told: fake_agent.py MODE. What it was asked is written to `asked`, what it was
answered to `seen`."""

import json
import os
import sys
import time

mode = sys.argv[1]
cancelled = False
ids = iter(range(100, 10**6))


def out(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def send(**message):
    out(json.dumps({"jsonrpc": "2.0", **message}))


def update(**what):
    send(method="session/update", params={"sessionId": "s1", "update": what})


def say(text):
    update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": text})


def ask(method, params):
    """Asks the client, and returns its whole answer."""
    number = next(ids)
    send(id=number, method=method, params=params)
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("id") == number and "method" not in message:
            return message
    sys.exit(0)


def permission(number, kind, path, options=("allow_always", "allow_once", "reject_once")):
    call = {"toolCallId": number, "title": f"{kind} {path}", "kind": kind, "locations": [{"path": path}]}
    options = [{"optionId": "o-" + option, "name": option, "kind": option} for option in options]
    answer = ask("session/request_permission", {"sessionId": "s1", "toolCall": call, "options": options})
    outcome = answer["result"]["outcome"]
    return outcome.get("optionId", outcome["outcome"])


def until_cancelled():
    for line in sys.stdin:
        if json.loads(line).get("method") == "session/cancel":
            return


def work():
    update(sessionUpdate="brand_new_thing", x={"y": 1})
    send(method="_vendor/thing", params={})
    here = os.getcwd()
    seen = {
        "edit": permission("t1", "edit", "train.py"),
        "locked": permission("t2", "edit", here + "/prepare.py"),
        "shell": permission("t3", "execute", here + "/train.py"),
        "always": permission("t4", "edit", here + "/train.py", ("allow_always", "reject_always")),
        "file": ask("fs/write_text_file", {"path": here + "/train.py", "content": "x"})["error"]["code"],
    }
    with open("seen", "w") as file:
        json.dump(seen, file)
    with open("train.py", "w") as file:
        file.write("new\n")
    update(sessionUpdate="tool_call_update", toolCallId="t1", status="completed")
    update(sessionUpdate="tool_call", toolCallId="t5", title="Read train.py", kind="read", status="in_progress")
    say("hel")
    say("lo")
    update(sessionUpdate="usage_update", used=12, size=1000, cost={"amount": 0.5, "currency": "USD"})


if mode == "silent":
    time.sleep(600)
if mode == "deaf":
    os.system("sleep 600 & echo $! > child")
if mode == "noise":
    for line in ("npm warn something", "", "(node:1) Warning"):
        out(line)
for line in sys.stdin:
    message = json.loads(line)
    method, number = message.get("method"), message.get("id")
    if method == "initialize":
        if mode == "early":
            sys.exit(7)
        send(id=number, result={"protocolVersion": 9 if mode == "version" else 1, "newThing": [1]})
    elif method == "session/new" and mode == "auth":
        send(id=number, error={"code": -32000, "message": "Authentication required"})
    elif method == "session/new":
        send(id=number, result={"sessionId": "s1"})
    elif method == "session/prompt":
        with open("asked", "a") as file:
            file.write(message["params"]["prompt"][0]["text"] + "\n")
        if mode == "malformed":
            out('{"jsonrpc": "2.0", "method": "session/update", "par')
            time.sleep(600)
        if mode == "die":
            print("I cannot go on", file=sys.stderr)
            sys.exit(3)
        if mode == "die-once" and not os.path.exists("died"):
            open("died", "w").close()
            send(id=number, result={"stopReason": "end_turn"})
            sys.exit(5)
        if mode == "deaf":
            time.sleep(600)
        if mode == "slow":
            until_cancelled()
            with open("late", "w") as file:
                file.write(permission("t9", "edit", os.getcwd() + "/train.py"))
            send(id=number, result={"stopReason": "cancelled"})
            continue
        if mode == "big":
            say("x" * 3_000_000)
        work()
        usage = {"totalTokens": 18, "inputTokens": 11, "outputTokens": 7}
        quota = {"_meta": {"quota": {"token_count": {"input_tokens": 11, "output_tokens": 7}}}}
        send(id=number, result={"stopReason": "end_turn", **(quota if mode == "noise" else {"usage": usage})})
