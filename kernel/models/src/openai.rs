//! OpenAI's chat completions, streamed: <https://platform.openai.com/docs/api-reference/chat>.

use serde_json::{Value, json};

use crate::conversation::{Answer, Block, Conversation, Said, Stop, Usage};

/// The request. OpenAI itself has renamed `max_tokens`; others may know the old name only.
pub(crate) fn request(model: &str, talk: &Conversation, max_tokens: u32, own: bool) -> Value {
    let mut messages = vec![json!({"role": "system", "content": talk.system})];
    messages.extend(talk.said.iter().flat_map(message));
    let mut request = json!({
        "model": model,
        "stream": true,
        "stream_options": {"include_usage": true},
        "messages": messages,
    });
    request[if own { "max_completion_tokens" } else { "max_tokens" }] = max_tokens.into();
    if !talk.tools.is_empty() {
        let tools = talk.tools.iter().map(|tool| {
            json!({
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.schema},
            })
        });
        request["tools"] = tools.collect();
    }
    request
}

fn message(said: &Said) -> Vec<Value> {
    match said {
        Said::User(text) => vec![json!({"role": "user", "content": text})],
        Said::Model(blocks) => {
            let text: String = blocks.iter().filter_map(Block::text).collect();
            let calls: Vec<Value> = blocks.iter().filter_map(call).collect();
            let mut message = json!({"role": "assistant", "content": text});
            if !calls.is_empty() {
                message["tool_calls"] = calls.into();
            }
            vec![message]
        }
        Said::Results(results) => results
            .iter()
            .map(|result| {
                let text =
                    if result.failed { format!("Error: {}", result.text) } else { result.text.clone() };
                json!({"role": "tool", "tool_call_id": result.id, "content": text})
            })
            .collect(),
    }
}

fn call(block: &Block) -> Option<Value> {
    let call = block.call()?;
    let arguments = call.arguments.unwrap_or_else(|_| json!({})).to_string();
    Some(json!({"type": "function", "id": call.id, "function": {"name": call.name, "arguments": arguments}}))
}

/// Takes in an event.
pub(crate) fn read(answer: &mut Answer, event: &Value, on_text: &mut dyn FnMut(&str)) {
    let choice = &event["choices"][0];
    if let Some(more) = choice["delta"]["content"].as_str().filter(|more| !more.is_empty()) {
        on_text(more);
        answer.write(more);
    }
    for part in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
        read_call(answer, part);
    }
    if let Some(reason) = choice["finish_reason"].as_str() {
        answer.stop = Some(match reason {
            "tool_calls" | "function_call" => Stop::Tools,
            "length" => Stop::Length,
            "content_filter" => Stop::Refused,
            _ => Stop::Done,
        });
    }
    if let Some(usage) = event.get("usage").filter(|usage| usage.is_object()) {
        let told = |value: &Value| value.as_u64().unwrap_or_default();
        answer.usage = Usage {
            input: told(&usage["prompt_tokens"]),
            cached: told(&usage["prompt_tokens_details"]["cached_tokens"]),
            stored: 0,
            output: told(&usage["completion_tokens"]),
        };
    }
}

/// A part of a call: its beginning has the name, later ones more of the arguments.
fn read_call(answer: &mut Answer, part: &Value) {
    let (id, name) = (part["id"].as_str(), part["function"]["name"].as_str());
    let calls: Vec<usize> = (0..answer.blocks.len())
        .filter(|index| matches!(answer.blocks[*index], Block::Call { .. }))
        .collect();
    // Some servers leave the index out: a name begins a call then.
    let index = match part["index"].as_u64() {
        Some(index) => index as usize,
        None if name.is_some() => calls.len(),
        None => calls.len().saturating_sub(1),
    };
    let at = calls.get(index).copied().unwrap_or_else(|| {
        answer.blocks.push(Block::Call {
            id: id.map_or_else(|| format!("call_{index}"), str::to_owned),
            name: name.unwrap_or_default().to_owned(),
            arguments: String::new(),
        });
        answer.blocks.len() - 1
    });
    if let Block::Call { arguments, .. } = &mut answer.blocks[at] {
        arguments.push_str(part["function"]["arguments"].as_str().unwrap_or_default());
    }
}
