"""A language model that answers as it is told, on the loopback: Anthropic's messages and chat completions, streamed."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from places import PATIENCE

#: What every key in these tests is: it must not be found anywhere.
CANARY = "sk-canary-8d1f0e"


@dataclass(frozen=True)
class Call:
    """An answer that calls a tool."""

    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Refusal:
    """An answer that is none."""

    status: int
    message: str = "no"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """An answer that breaks off after this text."""

    text: str


@dataclass(frozen=True)
class Paused:
    """An answer whose second part waits until the test lets it come."""

    text: str
    rest: str
    go: threading.Event


Answer = str | Call | Refusal | Cut | Paused


def change(old: str, new: str, hypothesis: str = "a change", path: str = "train.py", more: str = "") -> str:
    """An answer that replaces a part of a file."""
    return (f"HYPOTHESIS: {hypothesis}\nEXPECTED: -0.01\n{more}FILE: {path}\n"
            f"```\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n```\n")


#: What a report asks a model for begins so.
REPORT = "You are given the report of a series"


class Model:
    """The server. Each request gets the next answer, or what a function makes of it.

    The summary of a report, which a loop's end asks for, is none of them: it is always `summary`.
    """

    def __init__(self, answers: list[Answer] | Callable[[str], Answer], summary: str) -> None:
        self.asked: list[dict[str, Any]] = []
        self.summary = summary
        self.summarized: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.answers = answers
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def env(self, key: str = CANARY) -> dict[str, str]:
        """What points the product here."""
        return {"ANTHROPIC_BASE_URL": self.url, "ANTHROPIC_API_KEY": key, "OPENAI_BASE_URL": f"{self.url}/v1",
                "OPENAI_API_KEY": key}

    def told(self, index: int = -1) -> str:
        """Everything that a request told, as one text."""
        return texts(self.asked[index])

    def next(self, request: dict[str, Any], headers: dict[str, str]) -> Answer:
        if texts(request).startswith(REPORT):
            self.summarized.append(texts(request))
            return self.summary
        self.asked.append(request)
        self.headers.append(headers)
        if callable(self.answers):
            return self.answers(texts(request))
        return self.answers.pop(0) if self.answers else Refusal(400, "the script is over")

    def _handler(model) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answer = model.next(body, dict(self.headers))
                self.close_connection = True
                if isinstance(answer, Refusal):
                    told = json.dumps({"error": {"message": answer.message}}).encode()
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(told)))
                    self.end_headers()
                    self.wfile.write(told)
                    return
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                events = anthropic(answer) if self.path.endswith("/v1/messages") else chat(answer)
                with suppress(ConnectionError):  # Who has asked may be gone.
                    for event in events:
                        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        return Handler


def texts(request: dict[str, Any]) -> str:
    """Every text of a request, in its order."""
    def walk(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for name in ("system", "content", "text", "messages"):
                if name in value:
                    yield from walk(value[name])
        elif isinstance(value, list):
            for each in value:
                yield from walk(each)
    return "\n".join(walk(request))


def pieces(answer: str | Cut | Paused) -> Iterator[str]:
    """The text of an answer as it comes."""
    if isinstance(answer, Paused):
        yield answer.text
        answer.go.wait(PATIENCE)
        yield answer.rest
        return
    text = answer.text if isinstance(answer, Cut) else answer
    for start in range(0, len(text), 4000):
        yield text[start:start + 4000]


def anthropic(answer: str | Call | Cut | Paused) -> Iterator[dict[str, Any]]:
    """The events of Anthropic's messages."""
    message = {"id": "m1", "type": "message", "role": "assistant", "model": "scripted", "content": [],
               "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1000, "output_tokens": 1}}
    yield {"type": "message_start", "message": message}
    if isinstance(answer, Call):
        block = {"type": "tool_use", "id": new_id(), "name": answer.name, "input": {}}
        yield {"type": "content_block_start", "index": 0, "content_block": block}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(answer.arguments)}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    else:
        yield {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
        for text in pieces(answer):
            yield {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    if not isinstance(answer, Cut):
        yield {"type": "content_block_stop", "index": 0}
        stop = {"stop_reason": "tool_use" if isinstance(answer, Call) else "end_turn", "stop_sequence": None}
        yield {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 200}}
        yield {"type": "message_stop"}


def chat(answer: str | Call | Cut | Paused) -> Iterator[dict[str, Any] | str]:
    """The events of chat completions."""
    about = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
    def choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return about | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    if isinstance(answer, Call):
        function = {"name": answer.name, "arguments": json.dumps(answer.arguments)}
        yield choice({"tool_calls": [{"index": 0, "id": new_id(), "type": "function", "function": function}]})
    else:
        for text in pieces(answer):
            yield choice({"content": text})
    if not isinstance(answer, Cut):
        yield choice({}, "tool_calls" if isinstance(answer, Call) else "stop")
        yield about | {"choices": [], "usage": {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}}


def new_id() -> str:
    """What a call of a tool is known by."""
    return f"call_{uuid.uuid4().hex}"


@contextmanager
def model(answers: Sequence[Answer] | Callable[[str], Answer] = (), summary: str = "A summary.") -> Iterator[Model]:
    """A model while a test uses it."""
    it = Model(answers if callable(answers) else list(answers), summary)
    thread = threading.Thread(target=it.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield it
    finally:
        it.server.shutdown()
        it.server.server_close()
