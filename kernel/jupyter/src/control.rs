//! Control: answered at once, also while a cell runs.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    kernel::{Kernel, failed},
    language::Failure,
    router::{Incoming, Replies},
    shell::Shells,
    wire::Message,
};

/// Answers requests for ever.
pub(crate) async fn run(kernel: Arc<Kernel>, shells: Arc<Shells>, mut incoming: Incoming, replies: Replies) {
    loop {
        let request = incoming.next().await;
        let work = answer(&kernel, &shells, &request);
        kernel.serve(&request, &replies, work).await;
    }
}

async fn answer(kernel: &Kernel, shells: &Shells, request: &Message) -> Option<Value> {
    match request.msg_type() {
        "interrupt_request" => {
            kernel.interrupt();
            Some(json!({"status": "ok"}))
        }
        "create_subshell_request" => Some(shells.create()),
        "delete_subshell_request" => Some(shells.delete(request).unwrap_or_else(|failure| failed(&failure))),
        "list_subshell_request" => Some(shells.list()),
        "debug_request" => Some(refuse_debugging(request)),
        "execute_request" => {
            let what = "cells run on the shell channel, not on control";
            Some(failed(&Failure::new("WrongChannel", what)))
        }
        _ => kernel.answer(request).await,
    }
}

/// A refusal in the words of Jupyter and in those of the debug adapter protocol.
fn refuse_debugging(request: &Message) -> Value {
    let what = "this kernel has no debugger";
    let mut content = failed(&Failure::new("NotSupported", what));
    content["type"] = json!("response");
    content["request_seq"] = request.content["seq"].clone();
    content["command"] = request.content["command"].clone();
    content["success"] = json!(false);
    content["message"] = json!(what);
    content["body"] = json!({});
    content
}
