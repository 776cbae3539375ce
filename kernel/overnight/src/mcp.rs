//! `mcp`: what can be looked up in the lab, for coding agents, by the Model Context Protocol on standard input and
//! output (<https://modelcontextprotocol.io>).

use std::io::{BufRead, Read, Write};

use runner::proposers::Lookup;
use serde_json::{Value, json};

/// Versions that say the same of what is used here, the newest first.
const VERSIONS: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// No request is longer, in bytes.
const LONGEST: u64 = 4 << 20;

/// Codes of JSON-RPC.
const UNREADABLE: i64 = -32700;
const NO_REQUEST: i64 = -32600;
const NO_METHOD: i64 = -32601;

/// Serves until the client closes its end.
pub(crate) async fn serve(
    lookup: &dyn Lookup,
    mut input: impl BufRead,
    mut output: impl Write,
) -> std::io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let reply = match serde_json::from_slice::<Value>(&line) {
            Ok(message) => answer(lookup, &message).await,
            Err(error) => Some(refused(&Value::Null, UNREADABLE, &error.to_string())),
        };
        if let Some(reply) = reply {
            writeln!(output, "{reply}")?;
            output.flush()?;
        }
    }
}

fn refused(id: &Value, code: i64, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}

/// The reply to a message; a notification has none.
async fn answer(lookup: &dyn Lookup, message: &Value) -> Option<Value> {
    let id = message.get("id").filter(|id| !id.is_null())?;
    let Some(method) = message["method"].as_str() else {
        // An answer to what was never asked needs none.
        let reply = message.get("result").is_some() || message.get("error").is_some();
        return (!reply).then(|| refused(id, NO_REQUEST, "there is no method"));
    };
    let params = &message["params"];
    let result = match method {
        "initialize" => hello(params),
        "ping" => json!({}),
        "tools/list" => json!({"tools": lookup.tools().iter().map(tool).collect::<Vec<Value>>()}),
        "tools/call" => call(lookup, params).await,
        _ => return Some(refused(id, NO_METHOD, &format!("there is no method {method}"))),
    };
    Some(json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn hello(params: &Value) -> Value {
    let asked = params["protocolVersion"].as_str().unwrap_or_default();
    let version = VERSIONS.iter().find(|version| **version == asked).unwrap_or(&VERSIONS[0]);
    json!({
        "protocolVersion": version,
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "overnight", "version": env!("CARGO_PKG_VERSION")},
        "instructions": "The experiments of this lab. Begin with `experiments`.",
    })
}

fn tool(tool: &models::Tool) -> Value {
    json!({
        "name": tool.name,
        "description": tool.description,
        "inputSchema": tool.schema,
        // Clients ask their user less for what only looks.
        "annotations": {"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false},
    })
}

/// What a tool answers. An error of it is a result that the model reads.
async fn call(lookup: &dyn Lookup, params: &Value) -> Value {
    let answer = lookup.call(params["name"].as_str().unwrap_or_default(), &params["arguments"]).await;
    let failed = answer.is_err();
    let text = answer.unwrap_or_else(|why| why);
    json!({"content": [{"type": "text", "text": text}], "isError": failed})
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use runner::proposers::NoLookup;

    use super::*;

    #[tokio::test]
    async fn every_line_is_answered_or_needs_no_answer() {
        let lines = concat!(
            r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2024-11-05"}}"#,
            "\n",
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            "\n\nnot json\n[]\n\"x\"\n7\n",
            r#"{"id":1}"#,
            "\n",
            r#"{"id":1,"result":{}}"#,
            "\n",
            r#"{"id":"a","method":"tools/call","params":{"name":"log","arguments":{"number":-1}}}"#,
            "\n",
            r#"{"id":2,"method":"server/discover"}"#,
            "\n",
            r#"{"id":3,"method":"tools/list"}"#,
            "\n",
        );
        let mut out = Vec::new();
        serve(&NoLookup, std::io::Cursor::new(lines), &mut out).await.unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r#"
        {"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2024-11-05","capabilities":{"tools":{}},"serverInfo":{"name":"overnight","version":"0.1.0"},"instructions":"The experiments of this lab. Begin with `experiments`."}}
        {"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"expected ident at line 1 column 2"}}
        {"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"there is no method"}}
        {"jsonrpc":"2.0","id":"a","result":{"content":[{"type":"text","text":"there is no tool `log`"}],"isError":true}}
        {"jsonrpc":"2.0","id":2,"error":{"code":-32601,"message":"there is no method server/discover"}}
        {"jsonrpc":"2.0","id":3,"result":{"tools":[]}}
        "#);
    }
}
