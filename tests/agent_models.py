"""A language model for real coding agents, on the loopback: what tests/models.py streams, OpenAI's responses and Gemini's API."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from models import Call, anthropic, chat, new_id, texts

Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request, whichever API it came by."""

    #: The tools that may be called.
    tools: list[str]
    #: What those that were called have answered.
    results: list[str]
    #: Everything that was told, as one text.
    told: str


Script = Callable[[Asked], str | Call]


class AgentModel:
    """The server. Each request gets what the script makes of it."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[Asked] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def events(self, path: str, request: Json) -> Iterator[Json]:
        """The answer, as it streams."""
        for end, read, write in (("/messages", of_messages, anthropic), ("/chat/completions", of_chat, chat),
                                 ("/responses", of_responses, responses), ("GenerateContent", of_gemini, gemini)):
            if path.endswith(end):
                asked = read(request)
                self.asked.append(asked)
                # What comes without tools is a question beside the work, such as for a title.
                return write(self.script(asked) if asked.tools else "ok")
        raise LookupError(path)

    def _handler(model) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def start(self, kind: str, status: int = 200) -> None:
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("connection", "close")
                self.end_headers()

            def do_HEAD(self) -> None:
                self.start("text/plain")

            def do_GET(self) -> None:
                self.start("application/json")
                self.wfile.write(json.dumps({"object": "list", "data": [], "models": []}).encode())

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                path = self.path.split("?")[0]
                if path.endswith("/count_tokens"):
                    self.start("application/json")
                    self.wfile.write(b'{"input_tokens": 10}')
                    return
                try:
                    events = model.events(path, request)
                except LookupError:
                    self.start("application/json", 404)
                    return
                self.start("text/event-stream")
                for event in events:
                    name = f"event: {event['type']}\n" if "type" in event else ""
                    self.wfile.write(f"{name}data: {json.dumps(event)}\n\n".encode())
        return Handler


def of_messages(request: Json) -> Asked:
    """Anthropic's messages."""
    blocks = [block for message in request["messages"] if isinstance(message["content"], list) for block in message["content"]]
    results = [texts(block) for block in blocks if block["type"] == "tool_result"]
    return Asked([tool["name"] for tool in request.get("tools", [])], results, texts(request))


def of_chat(request: Json) -> Asked:
    """Chat completions."""
    results = [texts(message) for message in request["messages"] if message["role"] == "tool"]
    return Asked([tool["function"]["name"] for tool in request.get("tools", [])], results, texts(request))


def of_responses(request: Json) -> Asked:
    """OpenAI's responses."""
    results = [json.dumps(item["output"]) for item in request["input"] if item.get("type", "").endswith("_output")]
    tools = [tool.get("name", tool["type"]) for tool in request.get("tools", [])]
    return Asked(tools, results, "\n".join(map(texts, request["input"])))


def of_gemini(request: Json) -> Asked:
    """Gemini's API."""
    tools = [each["name"] for tool in request.get("tools", []) for each in tool.get("functionDeclarations", [])]
    parts = [part for content in request["contents"] for part in content["parts"]]
    results = [json.dumps(part["functionResponse"]) for part in parts if "functionResponse" in part]
    return Asked(tools, results, "\n".join(map(texts, parts)))


def responses(answer: str | Call) -> Iterator[Json]:
    """The events of OpenAI's responses."""
    about = {"id": "r1", "object": "response", "model": "scripted"}
    if isinstance(answer, Call):
        # `server.tool` is a tool of a server of tools, and a patch is no JSON.
        namespace, _, name = answer.name.rpartition(".")
        item = {"id": new_id(), "call_id": new_id(), "name": name, "status": "completed"}
        if name == "apply_patch":
            item |= {"type": "custom_tool_call", "input": answer.arguments["patch"]}
        else:
            item |= {"type": "function_call", "arguments": json.dumps(answer.arguments)}
            item |= {"namespace": namespace} if namespace else {}
    else:
        item = {"type": "message", "id": "m1", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": answer, "annotations": []}]}
    yield {"type": "response.created", "response": about | {"status": "in_progress", "output": []}}
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    usage = {"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 200,
             "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 1200}
    yield {"type": "response.completed", "response": about | {"status": "completed", "output": [item], "usage": usage}}


def gemini(answer: str | Call) -> Iterator[Json]:
    """The one event of Gemini's API."""
    part = {"functionCall": {"name": answer.name, "args": answer.arguments}} if isinstance(answer, Call) else {"text": answer}
    yield {"candidates": [{"index": 0, "finishReason": "STOP", "content": {"role": "model", "parts": [part]}}],
           "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 200, "totalTokenCount": 1200},
           "modelVersion": "scripted"}


@contextmanager
def agent_model(script: Script) -> Iterator[AgentModel]:
    """A model while a test uses it."""
    it = AgentModel(script)
    threading.Thread(target=it.server.serve_forever, daemon=True).start()
    try:
        yield it
    finally:
        it.server.shutdown()
        it.server.server_close()
