//! Subshells (JEP 91): what runs in one does not hold up the others.
#![allow(clippy::unwrap_used, missing_docs)]

mod client;
#[allow(dead_code)]
#[path = "../examples/echo.rs"]
mod echo;

use std::collections::HashMap;

use client::Client;
use echo::Echo;
use jupyter::{
    Channel::{Control, Shell, Stdin},
    wire::Message,
};
use serde_json::{Value, json};

async fn create(client: &mut Client) -> String {
    let answer = client.ask(Control, "create_subshell_request", json!({})).await;
    answer.reply["subshell_id"].as_str().unwrap().to_owned()
}

/// Sends a cell to a subshell and returns its message's id.
async fn start(client: &mut Client, subshell: &str, code: &str) -> String {
    let mut header = client.message("execute_request", json!({})).header().clone();
    header.extra.insert("subshell_id".to_owned(), json!(subshell));
    let id = header.msg_id.clone();
    let request = Message::new(header, jupyter::wire::Parent::none(), json!({"code": code}));
    client.send(Shell, &request).await;
    id
}

/// Receives until each of these requests is idle, and returns what was published for each.
async fn published(client: &mut Client, ids: &[&String]) -> HashMap<String, Vec<Message>> {
    let mut all: HashMap<String, Vec<Message>> = HashMap::new();
    let mut left = ids.len();
    while left > 0 {
        let message = client.published().await;
        left -= usize::from(message.content["execution_state"] == "idle");
        all.entry(message.parent.msg_id().unwrap()).or_default().push(message);
    }
    all
}

async fn replies(client: &mut Client, count: usize) -> HashMap<String, Value> {
    let mut all = HashMap::new();
    for _ in 0..count {
        let reply = client.receive(Shell).await;
        all.insert(reply.parent.msg_id().unwrap(), reply.content);
    }
    all
}

#[tokio::test]
async fn subshells_are_made_listed_and_deleted() {
    let mut client = Client::start(Echo).await;
    let (one, two) = (create(&mut client).await, create(&mut client).await);
    let mut ids = [one.clone(), two.clone()];
    ids.sort();
    let listed = client.ask(Control, "list_subshell_request", json!({})).await;
    assert_eq!(listed.reply, json!({"status": "ok", "subshell_id": ids}));
    let asked = json!({"subshell_id": one});
    let deleted = client.ask(Control, "delete_subshell_request", asked.clone()).await;
    assert_eq!(deleted.reply, json!({"status": "ok"}));
    let again = client.ask(Control, "delete_subshell_request", asked).await;
    assert_eq!(again.reply["ename"], "NoSuchSubshell");
    let listed = client.ask(Control, "list_subshell_request", json!({})).await;
    assert_eq!(listed.reply["subshell_id"], json!([two]));

    let id = start(&mut client, &one, "hello").await;
    client.published_for(&id).await;
    assert_eq!(client.receive(Shell).await.content["ename"], "NoSuchSubshell");
    client.shut_down().await;
}

#[tokio::test]
async fn a_subshell_answers_while_the_main_shell_runs_a_cell() {
    let mut client = Client::start(Echo).await;
    let subshell = create(&mut client).await;
    let main = client.request(Shell, "execute_request", json!({"code": "block 3600"})).await;
    // The cell is running, and goes on running.
    while client.published().await.msg_type() != "execute_input" {}
    let id = start(&mut client, &subshell, "quick").await;
    let published = client.published_for(&id).await;
    assert_eq!(published.last().unwrap().content["data"], json!({"text/plain": "quick"}));
    let reply = client.receive(Shell).await;
    assert_eq!(reply.parent.msg_id(), Some(id));
    assert_ne!(reply.parent.msg_id(), Some(main));
    assert_eq!(reply.content["execution_count"], 2, "numbers are the kernel's, not the shell's");
}

#[tokio::test]
async fn a_failed_cell_aborts_what_waits_in_its_own_shell_only() {
    let mut client = Client::start(Echo).await;
    let subshell = create(&mut client).await;
    let failing = start(&mut client, &subshell, "fail 0.3").await;
    let aborted = start(&mut client, &subshell, "never").await;
    let fine = client.request(Shell, "execute_request", json!({"code": "fine"})).await;
    let published = published(&mut client, &[&failing, &aborted, &fine]).await;
    let replies = replies(&mut client, 3).await;
    assert_eq!(replies[&failing]["status"], "error");
    assert_eq!(replies[&aborted]["status"], "aborted");
    assert_eq!(replies[&fine]["status"], "ok");
    assert_eq!(published[&aborted].len(), 2, "busy and idle alone");
}

#[tokio::test]
async fn an_interrupt_ends_what_runs_in_every_shell() {
    let mut client = Client::start(Echo).await;
    let subshell = create(&mut client).await;
    let one = start(&mut client, &subshell, "sleep 3600").await;
    let two = client.request(Shell, "execute_request", json!({"code": "sleep 3600"})).await;
    let mut begun = 0;
    while begun < 2 {
        begun += usize::from(client.published().await.msg_type() == "execute_input");
    }
    client.request(Control, "interrupt_request", json!({})).await;
    let replies = replies(&mut client, 2).await;
    assert_eq!(replies[&one]["ename"], "Interrupted");
    assert_eq!(replies[&two]["ename"], "Interrupted");
}

#[tokio::test]
async fn two_shells_may_ask_at_once_and_each_gets_its_answer() {
    let mut client = Client::start(Echo).await;
    let subshell = create(&mut client).await;
    let one = start(&mut client, &subshell, "ask").await;
    let two = client.request(Shell, "execute_request", json!({"code": "ask"})).await;
    for _ in 0..2 {
        let question = client.receive(Stdin).await;
        let name = if question.parent.msg_id().as_ref() == Some(&one) { "One" } else { "Two" };
        let mut answer = client.message("input_reply", json!({"value": name}));
        answer.parent = question.as_parent();
        client.send(Stdin, &answer).await;
    }
    let published = published(&mut client, &[&one, &two]).await;
    let replies = replies(&mut client, 2).await;
    assert!(replies.values().all(|reply| reply["status"] == "ok"), "{replies:?}");
    let said = |id: &String| published[id].iter().find_map(|m| m.content["text"].as_str().map(str::to_owned));
    assert_eq!(said(&one), Some("hello One\n".to_owned()));
    assert_eq!(said(&two), Some("hello Two\n".to_owned()));
    client.shut_down().await;
}
