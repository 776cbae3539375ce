//! The client against a server that answers as it is told.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use models::{
    Client, Conversation, Fault, Key, ModelError, Piece, Settings, Stop, Tool, ToolCall, ToolResult, Turn,
    Usage,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

const CANARY: &str = "sk-canary-4711";

/// One answer of the server.
#[derive(Clone)]
enum Scripted {
    /// A status, more headers, and a body.
    Refused(u16, &'static str, String),
    /// Events, and then the end of the connection.
    Events(String),
    /// Nothing, for as long as it is waited for.
    Silence,
}

struct Server {
    url: String,
    /// Headers and body of each request.
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

/// A server that gives each answer once, and the last one for ever.
async fn server(answers: Vec<Scripted>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    tokio::spawn(async move {
        for index in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (reader, mut writer) = stream.split();
            let mut reader = BufReader::new(reader);
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                if reader.read_line(&mut line).await.unwrap() == 0 || line == "\r\n" {
                    break;
                }
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).await.unwrap();
            heard.lock().unwrap().push((head, serde_json::from_slice(&body).unwrap()));
            let text = match &answers[index.min(answers.len() - 1)] {
                Scripted::Silence => {
                    tokio::spawn(async move {
                        let _open = stream;
                        std::future::pending::<()>().await;
                    });
                    continue;
                }
                Scripted::Refused(status, headers, body) => format!(
                    "HTTP/1.1 {status} Said\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                ),
                Scripted::Events(events) => {
                    format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}"
                    )
                }
            };
            writer.write_all(text.as_bytes()).await.unwrap();
        }
    });
    Server { url, asked }
}

impl Server {
    fn client(&self, name: &str) -> Client {
        self.patient(name, 3)
    }

    /// A client that asks again so often, and waits a thousandth of the usual time.
    fn patient(&self, name: &str, retries: usize) -> Client {
        let pause = Settings::default().pause / 1000;
        let silence = Duration::from_millis(300);
        let settings = Settings { pause, silence, retries, ..Settings::default() };
        Client::new(name.parse().unwrap(), Some(Key::new(CANARY)), Some(&self.url), settings).unwrap()
    }

    fn requests(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn events(events: &[Value]) -> Scripted {
    Scripted::Events(events.iter().map(|event| format!("data: {event}\n\n")).collect())
}

fn anthropic(text: &str) -> Vec<Value> {
    let usage = json!({"input_tokens": 11, "cache_read_input_tokens": 90, "cache_creation_input_tokens": 5, "output_tokens": 1});
    vec![
        json!({"type": "message_start", "message": {"usage": usage}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}),
        json!({"type": "message_stop"}),
    ]
}

fn anthropic_call() -> Vec<Value> {
    vec![
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 10, "output_tokens": 1}}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s1"}}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t1", "name": "log", "input": {}}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{\"num"}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "ber\": 3}"}}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}}),
        json!({"type": "message_stop"}),
    ]
}

fn chat(text: &str) -> Vec<Value> {
    vec![
        json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}], "error": null}),
        json!({"choices": [{"index": 0, "delta": {"content": text}}]}),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}),
        json!({"choices": [], "usage": {"prompt_tokens": 101, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 64}}}),
    ]
}

fn chat_calls() -> Vec<Value> {
    let call = |index: Value, id: Option<&str>, name: Option<&str>, arguments: &str| {
        json!({"choices": [{"delta": {"tool_calls": [
            {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]}}]})
    };
    vec![
        call(json!(0), Some("c1"), Some("log"), "{\"num"),
        call(json!(0), None, None, "ber\": 3}"),
        call(Value::Null, None, Some("table"), ""),
        call(json!(2), Some("c3"), Some("sql"), "SELECT"),
        // As some servers have it.
        json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}),
    ]
}

fn talk() -> Conversation {
    let tool = Tool {
        name: "log".to_owned(),
        description: "What an experiment printed".to_owned(),
        schema: json!({"type": "object", "properties": {"number": {"type": "integer"}}}),
    };
    let mut talk = Conversation::new("Be brief.", vec![tool]);
    talk.ask("How did it go?");
    talk
}

async fn turn(client: &Client) -> (Result<Turn, ModelError>, String) {
    let mut heard = String::new();
    let turn = client
        .turn(&mut talk(), |piece| match piece {
            Piece::Text(text) => heard.push_str(text),
            Piece::Again(error) => heard.push_str(&format!("[{error}]")),
        })
        .await;
    (turn, heard)
}

#[tokio::test]
async fn both_protocols_stream_call_and_count() {
    for (name, first, second) in [
        ("anthropic:m", anthropic_call(), anthropic("It went – well.")),
        ("openai:m", chat_calls()[..2].iter().cloned().chain(chat("")).collect(), chat("It went – well.")),
    ] {
        let server = server(vec![events(&first), events(&second)]).await;
        let client = server.client(name);
        let mut talk = talk();
        let call = client.turn(&mut talk, |_| {}).await.unwrap();
        assert_eq!(call.stop, Stop::Tools, "{name}");
        assert_eq!(
            (call.calls[0].name.as_str(), call.calls[0].arguments.clone()),
            ("log", Ok(json!({"number": 3})))
        );
        talk.give(vec![ToolResult { id: call.calls[0].id.clone(), text: "OOM".to_owned(), failed: true }]);
        let mut heard = String::new();
        let said = client
            .turn(&mut talk, |piece| {
                if let Piece::Text(text) = piece {
                    heard.push_str(text);
                }
            })
            .await
            .unwrap();
        assert_eq!(
            (said.text.as_str(), heard.as_str(), said.stop),
            ("It went – well.", "It went – well.", Stop::Done)
        );
        let asked = server.asked.lock().unwrap();
        insta::with_settings!({snapshot_suffix => name.replace(':', "-")}, {
            insta::assert_json_snapshot!(asked[1].1);
        });
        let usage = match name {
            "anthropic:m" => Usage { input: 106, cached: 90, stored: 5, output: 7 },
            _ => Usage { input: 101, cached: 64, stored: 0, output: 7 },
        };
        assert_eq!(said.usage, usage);
    }
}

#[tokio::test]
async fn calls_as_servers_of_ones_own_write_them() {
    let server = server(vec![events(&chat_calls())]).await;
    let (turn, _) = turn(&server.client("openai:m")).await;
    let turn = turn.unwrap();
    assert_eq!(turn.stop, Stop::Tools);
    let call = |id: &str, name: &str, arguments: Result<Value, String>| ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments,
    };
    assert_eq!(
        turn.calls,
        [
            call("c1", "log", Ok(json!({"number": 3}))),
            call("call_1", "table", Ok(json!({}))),
            call("c3", "sql", Err("SELECT".to_owned())),
        ]
    );
}

#[tokio::test]
async fn what_is_temporary_is_tried_again() {
    let busy =
        Scripted::Refused(429, "retry-after-ms: 30\r\n", r#"{"error": {"message": "slow down"}}"#.to_owned());
    let broken = Scripted::Refused(500, "", "<html>".to_owned());
    let cut = events(&anthropic("half")[..3]);
    let overloaded =
        events(&[json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})]);
    for (trouble, said) in [
        (busy, "[429 slow down]whole"),
        (broken, "[500 <html>]whole"),
        (cut, "half[its answer broke off in the middle]whole"),
        (overloaded, "[Overloaded]whole"),
    ] {
        let server = server(vec![trouble, events(&anthropic("whole"))]).await;
        let began = std::time::Instant::now();
        let (turn, heard) = turn(&server.client("anthropic:m")).await;
        assert_eq!((turn.unwrap().text.as_str(), heard.as_str()), ("whole", said));
        assert!(
            !said.contains("429") || began.elapsed() >= Duration::from_millis(30),
            "it waits as it is told"
        );
    }
}

#[tokio::test]
async fn a_minute_of_trouble_is_outlived() {
    let broken = Scripted::Refused(500, "", "<html>".to_owned());
    let script = [vec![broken; 6], vec![events(&anthropic("whole"))]].concat();
    let server = server(script).await;
    let began = std::time::Instant::now();
    let (turn, _) = turn(&server.patient("anthropic:m", Settings::default().retries)).await;
    assert_eq!((turn.unwrap().text.as_str(), server.requests()), ("whole", 7));
    assert!(began.elapsed() >= Duration::from_secs(60) / 1000, "{:?}", began.elapsed());
}

#[tokio::test]
async fn trouble_that_lasts_is_told_after_the_last_try() {
    let server = server(vec![Scripted::Refused(503, "", "maintenance".to_owned())]).await;
    let (turn, _) = turn(&server.client("openai:m")).await;
    assert_eq!(turn.unwrap_err().to_string(), "503 maintenance");
    assert_eq!(server.requests(), 4);
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_for_ever() {
    let server = server(vec![Scripted::Silence, events(&anthropic("awake"))]).await;
    let (turn, heard) = turn(&server.client("anthropic:m")).await;
    assert_eq!(turn.unwrap().text, "awake");
    assert!(heard.contains("timed out"), "{heard}");
}

#[tokio::test]
async fn what_a_person_has_to_mend_is_not_tried_again_and_the_key_is_nowhere() {
    let echo = format!(r#"{{"error": {{"message": "Incorrect API key provided: {CANARY}"}}}}"#);
    let spent =
        r#"{"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}"#.to_owned();
    for (status, body, fault) in [
        (401, echo, Fault::Account),
        (429, spent, Fault::Account),
        (400, r#"{"error": {"message": "no such model"}}"#.to_owned(), Fault::Request),
    ] {
        let server = server(vec![Scripted::Refused(status, "", body)]).await;
        let client = server.client("openai:m");
        let error = turn(&client).await.0.unwrap_err();
        assert_eq!((error.fault, server.requests()), (fault, 1));
        let shown = format!("{error} {error:?} {client:?}");
        assert!(!shown.contains(CANARY), "{shown}");
    }
    let error = Client::new("anthropic:m".parse().unwrap(), None, None, Settings::default()).unwrap_err();
    assert_eq!(error.to_string(), "there is no key for anthropic:m: set ANTHROPIC_API_KEY");
}

#[tokio::test]
async fn a_key_does_not_follow_to_another_host() {
    let elsewhere = server(vec![events(&anthropic("stolen"))]).await;
    let header = format!("location: {}/v1/messages\r\n", elsewhere.url);
    let header: &'static str = Box::leak(header.into_boxed_str());
    let server = server(vec![Scripted::Refused(307, header, String::new())]).await;
    let error = turn(&server.client("anthropic:m")).await.0.unwrap_err();
    assert_eq!((error.fault, elsewhere.requests()), (Fault::Request, 0));
}
