//! One agent with one session.

use std::collections::HashMap;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::policy::Call;
use crate::wire::{Message, Wire, cut};
use crate::{AgentError, Spec, Step};

/// The version of the protocol.
const VERSION: u64 = 1;
/// JSON-RPC's code for a method that is not there.
const NO_METHOD: i64 = -32601;

/// A running agent. Dropping it ends its process group.
#[derive(Debug)]
pub struct Agent {
    wire: Wire,
    _group: Group,
    spec: Spec,
    session: String,
    /// The number of the last request.
    asked: u64,
    calls: HashMap<String, Call>,
    cancelling: bool,
    turn: Turn,
    /// What the session had cost before this turn, for agents that count it so.
    paid: f64,
}

/// What one question brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Turn {
    /// What the agent said.
    pub text: String,
    /// What it did, a line each: tools that it used, leave that it was given or refused.
    pub log: Vec<String>,
    /// Why it stopped, in the protocol's words: `end_turn`, `cancelled`, `refusal`, …
    pub stop: String,
    /// What it took, where the agent says so.
    pub usage: Option<Usage>,
    /// What it cost in US dollars, where the agent says so.
    pub usd: Option<f64>,
}

/// Tokens of a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Read.
    pub input_tokens: u64,
    /// Written.
    pub output_tokens: u64,
}

/// A process group, which is killed when this is dropped.
#[derive(Debug)]
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

impl Agent {
    /// Starts an agent and opens a session.
    ///
    /// # Errors
    /// Where it cannot be started, does not answer in time, or speaks something else.
    pub async fn start(spec: &Spec) -> Result<Self, AgentError> {
        let (wire, group) = spawn(spec)?;
        let mut agent = Self {
            wire,
            _group: group,
            spec: spec.clone(),
            session: String::new(),
            asked: 0,
            calls: HashMap::new(),
            cancelling: false,
            turn: Turn::default(),
            paid: 0.0,
        };
        // Files are not offered: it edits them where they are, and what it changed is looked at afterwards.
        let hello = json!({
            "protocolVersion": VERSION,
            "clientCapabilities": {"fs": {"readTextFile": false, "writeTextFile": false}, "terminal": false},
            "clientInfo": {"name": "overnight", "version": env!("CARGO_PKG_VERSION")},
        });
        let hello = agent.call("initialize", &hello, spec.start).await?;
        if hello["protocolVersion"] != VERSION {
            return Err(AgentError::Version(hello["protocolVersion"].to_string()));
        }
        let servers = spec.servers.iter().map(|server| {
            json!({"name": server.name, "command": server.program, "args": server.arguments, "env": []})
        });
        let mut session = json!({"cwd": spec.folder, "mcpServers": servers.collect::<Vec<Value>>()});
        if let Some(meta) = &spec.meta {
            session["_meta"] = meta.clone();
        }
        let opened = agent.call("session/new", &session, spec.start).await?;
        let id = opened["sessionId"].as_str();
        agent.session = id
            .ok_or_else(|| AgentError::Malformed(format!("a session without its id: {opened}")))?
            .to_owned();
        if let Some(mode) = &spec.mode {
            let mode = json!({"sessionId": agent.session, "modeId": mode});
            agent.call("session/set_mode", &mode, spec.start).await?;
        }
        Ok(agent)
    }

    /// Asks, and waits until the agent has done its turn. After `limit` it is cancelled. `step` gets what it does.
    ///
    /// # Errors
    /// [`AgentError::Hung`] with what had come, and others where the agent is of no use any more.
    pub async fn ask(&mut self, text: &str, limit: Duration, step: Step<'_>) -> Result<Turn, AgentError> {
        const METHOD: &str = "session/prompt";
        (self.turn, self.cancelling) = (Turn::default(), false);
        step("thinks");
        self.calls.clear();
        let prompt = json!({"sessionId": self.session, "prompt": [{"type": "text", "text": text}]});
        let id = self.request(METHOD, &prompt);
        match self.answer(id, METHOD, limit, step).await {
            Ok(result) => self.finish(&result),
            Err(AgentError::Hung { method, seconds, .. }) => {
                self.cancelling = true;
                let cancel = json!({"jsonrpc": "2.0", "method": "session/cancel", "params": {"sessionId": self.session}});
                self.wire.send(&cancel);
                if let Ok(result) = self.answer(id, METHOD, self.spec.grace, step).await {
                    self.finish(&result);
                }
                return Err(AgentError::Hung {
                    method,
                    seconds,
                    turn: Box::new(std::mem::take(&mut self.turn)),
                });
            }
            Err(error) => return Err(error),
        }
        Ok(std::mem::take(&mut self.turn))
    }

    fn finish(&mut self, result: &Value) {
        result["stopReason"].as_str().unwrap_or("unknown").clone_into(&mut self.turn.stop);
        self.turn.usage = usage(result);
    }

    async fn call(&mut self, method: &str, params: &Value, limit: Duration) -> Result<Value, AgentError> {
        let id = self.request(method, params);
        self.answer(id, method, limit, &|_| ()).await
    }

    fn request(&mut self, method: &str, params: &Value) -> u64 {
        self.asked += 1;
        self.wire.send(&json!({"jsonrpc": "2.0", "id": self.asked, "method": method, "params": params}));
        self.asked
    }

    /// Reads until the answer to a request, serving the agent meanwhile.
    async fn answer(
        &mut self,
        id: u64,
        method: &str,
        limit: Duration,
        step: Step<'_>,
    ) -> Result<Value, AgentError> {
        let until = Instant::now() + limit;
        loop {
            let Ok(message) = tokio::time::timeout_at(until, self.wire.message()).await else {
                return Err(AgentError::Hung {
                    method: method.to_owned(),
                    seconds: limit.as_secs(),
                    turn: Box::default(),
                });
            };
            match message? {
                Message { id: Some(asked), method: Some(method), params, .. } => {
                    let none = || json!({"code": NO_METHOD, "message": format!("there is no {method}")});
                    let reply = self.serve(&method, &params);
                    let (part, value) = reply.map_or_else(|| ("error", none()), |reply| ("result", reply));
                    self.wire.send(&json!({"jsonrpc": "2.0", "id": asked, part: value}));
                }
                Message { method: Some(method), params, .. } if method == "session/update" => {
                    self.update(&params["update"], step);
                }
                Message { id: Some(answered), method: None, result, error, .. } if answered == id => {
                    return match error {
                        None => Ok(result),
                        Some(error) => {
                            Err(AgentError::Refused { method: method.to_owned(), message: error.text() })
                        }
                    };
                }
                // An answer that is no longer waited for, or a notification of the agent's own kind.
                _ => {}
            }
        }
    }

    /// A request of the agent; `None` where it asks for what is not offered.
    fn serve(&mut self, method: &str, params: &Value) -> Option<Value> {
        if method != "session/request_permission" {
            return None;
        }
        let asked = &params["toolCall"];
        let call = self.calls.entry(asked["toolCallId"].as_str().unwrap_or_default().to_owned()).or_default();
        call.update(asked);
        let granted = call.is_granted(&self.spec) && !self.cancelling;
        let wanted: &[&str] = if granted { &["allow_once"] } else { &["reject_once", "reject_always"] };
        let options = params["options"].as_array().map(Vec::as_slice).unwrap_or_default();
        // By its kind: what it is called, and where it stands, is each agent's own.
        let option = wanted.iter().find_map(|kind| options.iter().find(|option| option["kind"] == *kind));
        let said = if granted { "may" } else { "may not" };
        self.turn.log.push(format!("{said}: {} ({})", cut(&call.title, 100), call.kind));
        Some(match option.filter(|_| !self.cancelling) {
            Some(option) => json!({"outcome": {"outcome": "selected", "optionId": option["optionId"]}}),
            None => json!({"outcome": {"outcome": "cancelled"}}),
        })
    }

    fn update(&mut self, update: &Value, step: Step<'_>) {
        match update["sessionUpdate"].as_str().unwrap_or_default() {
            "agent_thought_chunk" => step("thinks"),
            "agent_message_chunk" => {
                step("writes");
                self.turn.text.push_str(update["content"]["text"].as_str().unwrap_or_default());
            }
            "tool_call" | "tool_call_update" => {
                let id = update["toolCallId"].as_str().unwrap_or_default().to_owned();
                let call = self.calls.entry(id).or_default();
                call.update(update);
                if let Some(status @ ("completed" | "failed")) = update["status"].as_str() {
                    self.turn.log.push(format!("{status}: {} ({})", cut(&call.title, 100), call.kind));
                    step("thinks");
                } else if !call.title.is_empty() {
                    step(&format!("is at `{}`", cut(&call.title, 100)));
                }
            }
            "usage_update" if update["cost"]["currency"] == "USD" => {
                // It is that of the whole session.
                if let Some(all) = update["cost"]["amount"].as_f64() {
                    self.turn.usd = Some(self.turn.usd.unwrap_or(0.0) + (all - self.paid).max(0.0));
                    self.paid = all;
                }
            }
            _ => {}
        }
    }
}

/// Starts the process in a group of its own.
fn spawn(spec: &Spec) -> Result<(Wire, Group), AgentError> {
    let failed = |source| AgentError::Start { command: spec.command.join(" "), source };
    let Some((program, arguments)) = spec.command.split_first() else {
        return Err(failed(std::io::ErrorKind::InvalidInput.into()));
    };
    let child = tokio::process::Command::new(program)
        .args(arguments)
        .current_dir(&spec.folder)
        .env_clear()
        .envs(&spec.environment)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
    let wire = Wire::new(child, &spec.log).ok_or_else(|| failed(std::io::ErrorKind::BrokenPipe.into()))?;
    Ok((wire, group))
}

/// Tokens of a turn: `usage` (Claude, Codex, opencode), `_meta.quota` (Gemini).
fn usage(result: &Value) -> Option<Usage> {
    let quota = &result["_meta"]["quota"]["token_count"];
    Usage::deserialize(&result["usage"]).ok().or_else(|| {
        let (input_tokens, output_tokens) =
            (quota["input_tokens"].as_u64()?, quota["output_tokens"].as_u64()?);
        Some(Usage { input_tokens, output_tokens })
    })
}
