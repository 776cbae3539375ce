//! Runs a cell from its request to the content of its reply.

use std::sync::{Arc, atomic::Ordering};

use serde_json::{Map, Value, json};

use crate::{
    io::Io,
    isolate::isolate,
    kernel::{Kernel, failed, panicked},
    language::{Cell, Failure, Outcome},
    requests::{ExecuteRequest, read},
    wire::Message,
};

/// How a cell ended, for the shell.
pub(crate) struct Executed {
    /// The content of `execute_reply`.
    pub(crate) content: Value,
    /// The cells that the client has sent meanwhile must not run.
    pub(crate) abort_queued: bool,
}

impl Kernel {
    pub(crate) async fn execute(self: &Arc<Self>, request: &Message) -> Executed {
        let asked: ExecuteRequest = match read(request) {
            Ok(asked) => asked,
            Err(failure) => return executed_badly(&failure, self.count(), false),
        };
        // Silent forces that nothing is stored, and only what is stored is counted.
        let store_history = asked.store_history && !asked.silent;
        let execution_count =
            if store_history { self.next_count.fetch_add(1, Ordering::AcqRel) } else { self.count() };
        // From here on an interrupt is for this cell, though the language does not know of it yet.
        let io = Io::new(self, request, execution_count, asked.silent, asked.allow_stdin);
        if !asked.silent {
            let content = json!({"code": asked.code, "execution_count": execution_count});
            self.iopub.announce("execute_input", request.as_parent(), content);
        }
        let cell = Cell { code: asked.code, silent: asked.silent, store_history, execution_count };
        let code = store_history.then(|| cell.code.clone());
        let outcome = self.run(cell, io.clone()).await;
        if let Some(code) = code {
            let output = io.take_result();
            self.history().append(execution_count, &code, output.as_deref());
        }
        match outcome {
            Outcome::Ok { payload } => Executed {
                content: json!({
                    "status": "ok",
                    "execution_count": execution_count,
                    "payload": payload,
                    "user_expressions": self.evaluate(asked.user_expressions).await,
                }),
                abort_queued: false,
            },
            Outcome::Error(failure) => {
                if !asked.silent {
                    let content = json!(failure);
                    self.iopub.announce("error", request.as_parent(), content);
                }
                executed_badly(&failure, execution_count, asked.stop_on_error)
            }
        }
    }

    /// The content of the reply to a cell that does not run, as one before it failed.
    pub(crate) fn aborted(&self) -> Value {
        json!({
            "status": "aborted",
            "execution_count": self.count(),
            "payload": [],
            "user_expressions": {},
        })
    }

    async fn run(self: &Arc<Self>, cell: Cell, io: Io) -> Outcome {
        let kernel = Arc::clone(self);
        let work = async move {
            if io.is_interrupted() {
                return Outcome::error("Interrupted", "the cell was interrupted before it ran");
            }
            kernel.language.execute(cell, io).await
        };
        let outcome = isolate("cell", work).await;
        outcome.unwrap_or_else(|panic| Outcome::Error(panicked(panic)))
    }

    async fn evaluate(&self, expressions: Option<Map<String, Value>>) -> Map<String, Value> {
        let mut results = Map::new();
        for (name, expression) in expressions.unwrap_or_default() {
            let language = Arc::clone(&self.language);
            let value = isolate("evaluate", async move {
                let expression = expression.as_str().unwrap_or_default();
                language.evaluate(expression).await
            });
            let result = match value.await.map_err(panicked).and_then(|value| value) {
                Ok(data) => json!({"status": "ok", "data": data, "metadata": {}}),
                Err(failure) => failed(&failure),
            };
            results.insert(name, result);
        }
        results
    }

    /// The number of the next cell that is stored.
    fn count(&self) -> u32 {
        self.next_count.load(Ordering::Acquire)
    }
}

fn executed_badly(failure: &Failure, execution_count: u32, abort_queued: bool) -> Executed {
    let mut content = failed(failure);
    content["execution_count"] = json!(execution_count);
    content["payload"] = json!([]);
    content["user_expressions"] = json!({});
    Executed { content, abort_queued }
}
