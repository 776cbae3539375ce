//! Comms, opened from either side, against the toy kernel.
#![allow(clippy::unwrap_used, missing_docs)]

mod client;
#[allow(dead_code)]
#[path = "../examples/echo.rs"]
mod echo;

use bytes::Bytes;
use client::Client;
use echo::Echo;
use jupyter::{
    Channel::{Control, Shell},
    wire::Message,
};
use serde_json::{Value, json};

/// Sends a comm's message, which has no reply, and receives what is published for it.
async fn tell(client: &mut Client, msg_type: &str, content: Value) -> Vec<Message> {
    let id = client.request(Shell, msg_type, content).await;
    client.published_for(&id).await
}

async fn open_comms(client: &mut Client, content: Value) -> Value {
    client.ask(Shell, "comm_info_request", content).await.reply["comms"].clone()
}

#[tokio::test]
async fn comms_that_nobody_takes_are_closed() {
    let mut client = Client::start(Echo).await;
    let opened = json!({"comm_id": "c1", "target_name": "jupyter.widget", "data": {}});
    let published = tell(&mut client, "comm_open", opened).await;
    assert_eq!(published[0].msg_type(), "comm_close");
    assert_eq!(published[0].content, json!({"comm_id": "c1", "data": {}}));
    assert!(tell(&mut client, "comm_msg", json!({"comm_id": "c1", "data": {}})).await.is_empty());
    assert_eq!(open_comms(&mut client, json!({})).await, json!({}));
    client.shut_down().await;
}

#[tokio::test]
async fn a_comm_of_the_client_lives_until_either_side_closes_it() {
    let mut client = Client::start(Echo).await;
    for (id, target) in [("c1", "echo"), ("c2", "echo")] {
        let mut opened =
            client.message("comm_open", json!({"comm_id": id, "target_name": target, "data": {"x": 1}}));
        opened.metadata.insert("version".to_owned(), json!("2.1.0"));
        opened.buffers.push(Bytes::from_static(b"\0raw"));
        client.send(Shell, &opened).await;
        let published = client.published_for(&opened.header().msg_id).await;
        assert_eq!(published[0].msg_type(), "comm_msg");
        assert_eq!(published[0].content, json!({"comm_id": id, "data": {"x": 1}}));
        assert_eq!(published[0].metadata, opened.metadata);
        assert_eq!(published[0].buffers, opened.buffers);
    }
    let both = json!({"c1": {"target_name": "echo"}, "c2": {"target_name": "echo"}});
    assert_eq!(open_comms(&mut client, json!({})).await, both);
    assert_eq!(open_comms(&mut client, json!({"target_name": "echo"})).await, both);
    assert_eq!(open_comms(&mut client, json!({"target_name": "else"})).await, json!({}));

    let published = tell(&mut client, "comm_msg", json!({"comm_id": "c1", "data": [1, 2]})).await;
    assert_eq!(published[0].content, json!({"comm_id": "c1", "data": [1, 2]}));
    let published = tell(&mut client, "comm_msg", json!({"comm_id": "c1", "data": "bye"})).await;
    assert_eq!(published[0].msg_type(), "comm_close");
    assert!(tell(&mut client, "comm_close", json!({"comm_id": "c2", "data": {}})).await.is_empty());
    assert_eq!(open_comms(&mut client, json!({})).await, json!({}));
    client.shut_down().await;
}

#[tokio::test]
async fn a_cell_opens_a_comm() {
    let mut client = Client::start(Echo).await;
    let answer = client.execute("comm hello").await;
    let [_, opened, sent] = answer.published() else { panic!("{:?}", answer.published()) };
    assert_eq!(opened.msg_type(), "comm_open");
    assert_eq!(opened.content["target_name"], "echo");
    assert_eq!(opened.content["data"], json!({"says": "hello"}));
    assert_eq!(sent.content, json!({"comm_id": opened.content["comm_id"], "data": "first"}));
    let asked = client.ask(Control, "comm_info_request", json!({})).await;
    assert_eq!(asked.reply["comms"].as_object().unwrap().len(), 1);
    client.shut_down().await;
}
