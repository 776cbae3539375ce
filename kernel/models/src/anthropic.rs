//! Anthropic's messages, streamed: <https://platform.claude.com/docs/en/api/messages>.

use serde_json::{Value, json};

use crate::conversation::{Answer, Block, Conversation, Said, Stop};

/// The request. The tools and the system prompt, and what was said until now, are marked for the cache, so that the
/// next turn reads them from there.
pub(crate) fn request(model: &str, talk: &Conversation, max_tokens: u32) -> Value {
    let mark = json!({"type": "ephemeral"});
    let mut messages: Vec<Value> = talk.said.iter().map(message).collect();
    let last = messages.last_mut().and_then(|message| message["content"].as_array_mut()?.last_mut());
    if let Some(last) = last {
        last["cache_control"] = mark.clone();
    }
    let mut request = json!({
        "model": model,
        "max_tokens": max_tokens,
        "stream": true,
        "system": [{"type": "text", "text": talk.system, "cache_control": mark}],
        "messages": messages,
    });
    if !talk.tools.is_empty() {
        let tools = talk.tools.iter().map(
            |tool| json!({"name": tool.name, "description": tool.description, "input_schema": tool.schema}),
        );
        request["tools"] = tools.collect();
    }
    request
}

fn message(said: &Said) -> Value {
    match said {
        Said::User(text) => json!({"role": "user", "content": [{"type": "text", "text": text}]}),
        Said::Model(blocks) => {
            json!({"role": "assistant", "content": blocks.iter().filter_map(block).collect::<Value>()})
        }
        Said::Results(results) => {
            let results = results.iter().map(|result| {
                json!({
                    "type": "tool_result", "tool_use_id": result.id, "content": result.text, "is_error": result.failed,
                })
            });
            json!({"role": "user", "content": results.collect::<Value>()})
        }
    }
}

fn block(block: &Block) -> Option<Value> {
    match block {
        Block::Text(text) => (!text.is_empty()).then(|| json!({"type": "text", "text": text})),
        Block::Call { .. } => block.call().map(|call| {
            let input = call.arguments.unwrap_or_else(|_| json!({}));
            json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input})
        }),
        Block::Kept(block) => Some(block.clone()),
    }
}

/// Takes in an event; whether it was the last one.
pub(crate) fn read(answer: &mut Answer, event: &Value, on_text: &mut dyn FnMut(&str)) -> bool {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match event["type"].as_str().unwrap_or_default() {
        "message_start" => used(answer, &event["message"]["usage"]),
        "content_block_start" => {
            let block = &event["content_block"];
            answer.blocks.push(match block["type"].as_str() {
                Some("text") => Block::Text(word(&block["text"])),
                Some("tool_use") => Block::Call {
                    id: word(&block["id"]),
                    name: word(&block["name"]),
                    arguments: String::new(),
                },
                _ => Block::Kept(block.clone()),
            });
        }
        "content_block_delta" => delta(answer, &event["delta"], on_text),
        "message_delta" => {
            used(answer, &event["usage"]);
            answer.stop = event["delta"]["stop_reason"].as_str().map(|reason| match reason {
                "tool_use" => Stop::Tools,
                "max_tokens" | "model_context_window_exceeded" => Stop::Length,
                "refusal" => Stop::Refused,
                _ => Stop::Done,
            });
        }
        "message_stop" => return true,
        _ => {}
    }
    false
}

fn delta(answer: &mut Answer, delta: &Value, on_text: &mut dyn FnMut(&str)) {
    match answer.blocks.last_mut() {
        Some(Block::Text(text)) => {
            let more = delta["text"].as_str().unwrap_or_default();
            text.push_str(more);
            on_text(more);
        }
        Some(Block::Call { arguments, .. }) => {
            arguments.push_str(delta["partial_json"].as_str().unwrap_or_default());
        }
        Some(Block::Kept(block)) => {
            for name in ["thinking", "signature"] {
                if let Some(more) = delta[name].as_str() {
                    block[name] = format!("{}{more}", block[name].as_str().unwrap_or_default()).into();
                }
            }
        }
        None => {}
    }
}

/// What was read from the cache, and written to it, is counted apart; what is not said again stays.
fn used(answer: &mut Answer, usage: &Value) {
    let told = |name: &str| usage[name].as_u64();
    let so_far = &mut answer.usage;
    let fresh = told("input_tokens").unwrap_or(so_far.input - so_far.cached - so_far.stored);
    so_far.cached = told("cache_read_input_tokens").unwrap_or(so_far.cached);
    so_far.stored = told("cache_creation_input_tokens").unwrap_or(so_far.stored);
    so_far.input = fresh + so_far.cached + so_far.stored;
    so_far.output = told("output_tokens").unwrap_or(so_far.output);
}
