//! Each request of the protocol, against the toy kernel, over real sockets.
#![allow(clippy::unwrap_used, missing_docs)]

mod client;
#[allow(dead_code)]
#[path = "../examples/echo.rs"]
mod echo;

use client::Client;
use echo::Echo;
use jupyter::{
    Channel::{Control, Shell, Stdin},
    wire::{Header, Message, Parent},
};
use serde_json::{Value, json};

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[tokio::test]
async fn kernel_info_has_every_field_that_strict_clients_want() {
    let mut client = Client::start(Echo).await;
    for channel in [Shell, Control] {
        let answer = client.ask(channel, "kernel_info_request", json!({})).await;
        assert_eq!(answer.outputs(), json!([]));
        insta::allow_duplicates!(insta::assert_snapshot!(pretty(&answer.reply), @r#"
        {
          "status": "ok",
          "protocol_version": "5.5",
          "implementation": "echo",
          "implementation_version": "0.1.0",
          "language_info": {
            "name": "echo",
            "version": "1",
            "mimetype": "text/plain",
            "file_extension": ".txt",
            "pygments_lexer": "text",
            "codemirror_mode": "null",
            "nbconvert_exporter": "script"
          },
          "banner": "Echo: says what you say",
          "debugger": false,
          "help_links": [],
          "supported_features": [
            "kernel subshells"
          ]
        }
        "#));
    }
    client.shut_down().await;
}

#[tokio::test]
async fn a_cell_is_echoed_counted_and_shown() {
    let mut client = Client::start(Echo).await;
    let answer = client.execute("hello").await;
    insta::assert_snapshot!(answer.reply, @r#"{"status":"ok","execution_count":1,"payload":[],"user_expressions":{}}"#);
    insta::assert_snapshot!(answer.outputs(), @r#"[["execute_input",{"code":"hello","execution_count":1}],["execute_result",{"execution_count":1,"metadata":{},"data":{"text/plain":"hello"}}]]"#);
    assert_eq!(client.echoes("again").await, 2);
    client.shut_down().await;
}

#[tokio::test]
async fn displays_are_replaced_and_outputs_cleared() {
    let mut client = Client::start(Echo).await;
    let answer = client.execute("show").await;
    let contents: Vec<&Value> = answer.published().iter().map(|m| &m.content).collect();
    assert_eq!(answer.published()[1].msg_type(), "display_data");
    assert_eq!(answer.published()[2].msg_type(), "update_display_data");
    assert_eq!(contents[1]["data"], json!({"text/plain": "first"}));
    assert_eq!(contents[2]["data"], json!({"text/plain": "second"}));
    assert!(contents[1]["transient"]["display_id"].is_string());
    assert_eq!(contents[1]["transient"], contents[2]["transient"]);
    let answer = client.execute("count").await;
    let types: Vec<&str> = answer.published()[1..].iter().map(Message::msg_type).collect();
    assert_eq!(types, ["clear_output", "stream"].repeat(3));
    client.shut_down().await;
}

#[tokio::test]
async fn silent_cells_are_neither_shown_counted_nor_stored() {
    let mut client = Client::start(Echo).await;
    let content = json!({"code": "hello", "silent": true, "store_history": true});
    let answer = client.ask(Shell, "execute_request", content).await;
    assert_eq!(answer.reply["status"], "ok");
    assert_eq!(answer.outputs(), json!([]));
    let content = json!({"code": "fail", "silent": true});
    let answer = client.ask(Shell, "execute_request", content).await;
    assert_eq!(answer.reply["ename"], "Failed");
    assert_eq!(answer.outputs(), json!([]));
    let content = json!({"code": "unstored", "store_history": false});
    let answer = client.ask(Shell, "execute_request", content).await;
    assert_eq!(answer.published().len(), 2);
    assert_eq!(client.echoes("stored").await, 1);
    let content = json!({"hist_access_type": "tail", "n": 9, "output": true, "raw": true});
    let answer = client.ask(Shell, "history_request", content).await;
    assert_eq!(answer.reply["history"], json!([[1, 1, ["stored", "stored"]]]));
    client.shut_down().await;
}

#[tokio::test]
async fn an_error_is_shown_and_aborts_the_cells_that_were_queued() {
    let mut client = Client::start(Echo).await;
    let mut ids = Vec::new();
    for code in ["fail 0.3", "one", "two"] {
        let content = json!({"code": code});
        ids.push(client.request(Shell, "execute_request", content).await);
    }
    ids.push(client.request(Shell, "kernel_info_request", json!({})).await);
    let mut statuses = Vec::new();
    for id in &ids {
        let published = client.published_for(id).await;
        let reply = client.receive(Shell).await;
        assert_eq!(reply.parent.msg_id().as_ref(), Some(id));
        let types: Vec<_> = published.iter().map(|m| m.msg_type().to_owned()).collect();
        statuses.push(format!("{} {types:?}", reply.content["status"]));
        if *id == ids[0] {
            insta::assert_snapshot!(reply.content, @r#"{"status":"error","ename":"Failed","evalue":"as asked","traceback":["Failed: as asked"],"execution_count":1,"payload":[],"user_expressions":{}}"#);
            insta::assert_snapshot!(published[2].content, @r#"{"ename":"Failed","evalue":"as asked","traceback":["Failed: as asked"]}"#);
        }
    }
    insta::assert_snapshot!(statuses.join("\n"), @r#"
        "error" ["execute_input", "stream", "error"]
        "aborted" []
        "aborted" []
        "ok" []
        "#);
    assert_eq!(client.echoes("next").await, 2);
    client.shut_down().await;
}

#[tokio::test]
async fn without_stop_on_error_the_queue_goes_on() {
    let mut client = Client::start(Echo).await;
    let content = json!({"code": "fail 0.1", "stop_on_error": false});
    let first = client.request(Shell, "execute_request", content).await;
    let second = client.request(Shell, "execute_request", json!({"code": "one"})).await;
    client.published_for(&first).await;
    client.published_for(&second).await;
    assert_eq!(client.receive(Shell).await.content["status"], "error");
    assert_eq!(client.receive(Shell).await.content["status"], "ok");
    client.shut_down().await;
}

#[tokio::test]
async fn a_panic_is_an_error_and_the_kernel_lives() {
    let mut client = Client::start(Echo).await;
    let answer = client.execute("panic").await;
    insta::assert_snapshot!(answer.reply, @r#"{"status":"error","ename":"Panic","evalue":"as asked","traceback":["Panic: as asked"],"execution_count":1,"payload":[],"user_expressions":{}}"#);
    assert_eq!(answer.published()[1].msg_type(), "error");
    client.echoes("alive").await;
    client.shut_down().await;
}

#[tokio::test]
async fn user_expressions_and_payloads_come_with_the_reply() {
    let mut client = Client::start(Echo).await;
    let content = json!({"code": "page", "user_expressions": {"a": "1+1", "b": "fail"}});
    let answer = client.ask(Shell, "execute_request", content).await;
    insta::assert_snapshot!(pretty(&answer.reply), @r#"
        {
          "status": "ok",
          "execution_count": 1,
          "payload": [
            {
              "source": "page",
              "data": {
                "text/plain": "some help"
              },
              "start": 0
            }
          ],
          "user_expressions": {
            "a": {
              "status": "ok",
              "data": {
                "text/plain": "1+1"
              },
              "metadata": {}
            },
            "b": {
              "status": "error",
              "ename": "Failed",
              "evalue": "as asked",
              "traceback": [
                "Failed: as asked"
              ]
            }
          }
        }
        "#);
    client.shut_down().await;
}

#[tokio::test]
async fn completion_counts_code_points() {
    let mut client = Client::start(Echo).await;
    let content = json!({"code": "fl🦀", "cursor_pos": 2});
    let answer = client.ask(Shell, "complete_request", content).await;
    insta::assert_snapshot!(answer.reply, @r#"{"status":"ok","matches":["flood"],"cursor_start":0,"cursor_end":2,"metadata":{"_jupyter_types_experimental":[{"text":"flood","type":"keyword","start":0,"end":2}]}}"#);
    let content = json!({"code": "🦀🦀", "cursor_pos": 99});
    let answer = client.ask(Shell, "complete_request", content).await;
    assert_eq!(answer.reply["cursor_end"], 2);
    client.shut_down().await;
}

#[tokio::test]
async fn inspection_finds_or_says_that_it_did_not() {
    let mut client = Client::start(Echo).await;
    let content = json!({"code": "flood", "cursor_pos": 3, "detail_level": 0});
    let answer = client.ask(Shell, "inspect_request", content).await;
    insta::assert_snapshot!(answer.reply, @r#"{"status":"ok","found":true,"data":{"text/plain":"flood: a word that echo knows"},"metadata":{}}"#);
    let content = json!({"code": "nothing", "cursor_pos": 3});
    let answer = client.ask(Shell, "inspect_request", content).await;
    insta::assert_snapshot!(answer.reply, @r#"{"status":"ok","found":false,"data":{},"metadata":{}}"#);
    client.shut_down().await;
}

#[tokio::test]
async fn consoles_are_told_whether_code_is_complete() {
    let mut client = Client::start(Echo).await;
    let content = json!({"code": "a\\"});
    let answer = client.ask(Shell, "is_complete_request", content).await;
    assert_eq!(answer.reply, json!({"status": "incomplete", "indent": "  "}));
    let answer = client.ask(Shell, "is_complete_request", json!({"code": "a"})).await;
    assert_eq!(answer.reply["status"], "complete");
    client.shut_down().await;
}

#[tokio::test]
async fn usage_is_told_to_resource_monitors() {
    let mut client = Client::start(Echo).await;
    let answer = client.ask(Control, "usage_request", json!({})).await;
    let usage = &answer.reply;
    assert_eq!(usage["pid"], std::process::id());
    assert!(usage["kernel_memory"].as_u64() < usage["host_virtual_memory"]["total"].as_u64());
    assert!(usage["cpu_count"].as_u64() >= Some(1) && usage["kernel_cpu"].is_number());
    client.shut_down().await;
}

#[tokio::test]
async fn a_debugger_is_refused_politely() {
    let mut client = Client::start(Echo).await;
    let content = json!({"type": "request", "seq": 7, "command": "initialize", "arguments": {}});
    let answer = client.ask(Control, "debug_request", content).await;
    assert_eq!(answer.reply["success"], false);
    assert_eq!(answer.reply["request_seq"], 7);
    assert_eq!(answer.reply["command"], "initialize");
    client.shut_down().await;
}

#[tokio::test]
async fn what_is_unknown_or_incomplete_hangs_nobody() {
    let mut client = Client::start(Echo).await;
    for channel in [Shell, Control] {
        let id = client.request(channel, "from_the_future", json!({"x": 1})).await;
        assert!(client.published_for(&id).await.is_empty());
    }
    let answer = client.ask(Shell, "execute_request", json!({"codes": 1})).await;
    insta::assert_snapshot!(answer.reply, @r#"{"status":"error","ename":"InvalidRequest","evalue":"the content of this execute_request is not valid: missing field `code`","traceback":["InvalidRequest: the content of this execute_request is not valid: missing field `code`"],"execution_count":1,"payload":[],"user_expressions":{}}"#);
    let answer = client.ask(Shell, "complete_request", json!({"code": 1})).await;
    assert_eq!(answer.reply["ename"], "InvalidRequest");
    let answer = client.ask(Control, "execute_request", json!({"code": "x"})).await;
    assert_eq!(answer.reply["ename"], "WrongChannel");
    client.shut_down().await;
}

#[tokio::test]
async fn fields_of_a_header_that_we_do_not_know_are_echoed() {
    let mut client = Client::start(Echo).await;
    let mut header = Header::new("odd", "s", "u", "comm_info_request", "");
    header.extra.insert("later".to_owned(), json!({"deep": [1]}));
    let request = Message::new(header, Parent::none(), json!({}));
    client.send(Shell, &request).await;
    let reply = client.receive(Shell).await;
    assert_eq!(reply.parent, request.as_parent());
    assert_eq!(reply.header().version, "5.5");
    assert_eq!(reply.header().username, "tester");
    client.published_for("odd").await;
    client.shut_down().await;
}

#[tokio::test]
async fn a_cell_asks_the_person_at_the_client() {
    let mut client = Client::start(Echo).await;
    let id = client.request(Shell, "execute_request", json!({"code": "ask secret"})).await;
    let question = client.receive(Stdin).await;
    assert_eq!(question.msg_type(), "input_request");
    assert_eq!(question.parent.msg_id().as_ref(), Some(&id));
    assert_eq!(question.content, json!({"prompt": "name? ", "password": true}));
    let mut stale = client.message("input_reply", json!({"value": "stale"}));
    stale.parent = stale.as_parent();
    client.send(Stdin, &stale).await;
    let mut reply = client.message("input_reply", json!({"value": "Ada"}));
    reply.parent = question.as_parent();
    client.send(Stdin, &reply).await;
    let published = client.published_for(&id).await;
    assert_eq!(published[1].content, json!({"name": "stdout", "text": "hello Ada\n"}));
    assert_eq!(client.receive(Shell).await.content["status"], "ok");
    let content = json!({"code": "ask", "allow_stdin": false});
    let answer = client.ask(Shell, "execute_request", content).await;
    assert_eq!(answer.reply["evalue"], "this client cannot ask for input");
    client.shut_down().await;
}
