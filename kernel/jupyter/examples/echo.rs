//! A toy kernel that proves the crate: it prints a cell's code back.
//!
//! ```text
//! cargo run --example echo -- CONNECTION_FILE
//! ```
//!
//! Some cells do more: `fail`, `panic`, `sleep SECONDS`, `block SECONDS`, `flood LINES`, `later`, `ask`,
//! `show`, `count`, `page`, `comm`.

use std::{
    env,
    fmt::Write as _,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use jupyter::{
    Cell, Comm, CommMessage, Completeness, Completion, Connection, DisplayId, Failure, Io, JupyterError,
    KernelInfo, Language, LanguageInfo, MimeBundle, Options, Outcome, Payload, serve,
};
use serde_json::json;
use tokio::time::sleep;

const WORDS: [&str; 11] =
    ["ask", "block", "comm", "count", "fail", "flood", "later", "page", "panic", "show", "sleep"];

pub(crate) struct Echo;

#[async_trait]
impl Language for Echo {
    fn info(&self) -> KernelInfo {
        KernelInfo {
            implementation: "echo".to_owned(),
            implementation_version: env!("CARGO_PKG_VERSION").to_owned(),
            banner: "Echo: says what you say".to_owned(),
            language: LanguageInfo {
                name: "echo".to_owned(),
                version: "1".to_owned(),
                mimetype: "text/plain".to_owned(),
                file_extension: ".txt".to_owned(),
                pygments_lexer: "text".to_owned(),
                codemirror_mode: "null".to_owned(),
                nbconvert_exporter: "script".to_owned(),
            },
            help_links: Vec::new(),
        }
    }

    async fn execute(&self, cell: Cell, io: Io) -> Outcome {
        tokio::select! {
            outcome = run(&cell.code, &io) => outcome,
            () = io.interrupted() => Outcome::error("Interrupted", "the cell was interrupted"),
        }
    }

    async fn complete(&self, code: &str, cursor_chars: usize) -> Completion {
        let typed: String = code.chars().take(cursor_chars).collect();
        let matches = WORDS.iter().filter(|word| word.starts_with(&typed));
        let matches = matches.map(|word| ((*word).to_owned(), "keyword".to_owned()));
        Completion::typed(matches.collect(), 0, cursor_chars)
    }

    async fn inspect(&self, code: &str, _cursor_chars: usize, _detail: u8) -> Option<MimeBundle> {
        let word = WORDS.iter().find(|word| **word == code.trim())?;
        Some(plain(&format!("{word}: a word that echo knows")))
    }

    async fn is_complete(&self, code: &str) -> Completeness {
        if code.ends_with('\\') {
            let indent = "  ".to_owned();
            return Completeness::Incomplete { indent };
        }
        Completeness::Complete
    }

    async fn evaluate(&self, expression: &str) -> Result<MimeBundle, Failure> {
        if expression == "fail" {
            return Err(Failure::new("Failed", "as asked"));
        }
        Ok(plain(expression))
    }

    async fn comm_open(&self, comm: Comm, message: CommMessage) -> bool {
        if comm.target() != "echo" {
            return false;
        }
        comm.send(message);
        true
    }

    async fn comm_message(&self, comm: Comm, message: CommMessage) {
        if message.data == "bye" {
            comm.close(message);
        } else {
            comm.send(message);
        }
    }

    async fn shutdown(&self, _restart: bool) {}
}

async fn run(code: &str, io: &Io) -> Outcome {
    let (word, argument) = code.split_once(' ').unwrap_or((code, ""));
    match word {
        "fail" => {
            sleep(seconds(argument, 0.0)).await;
            io.stderr("about to fail\n");
            return Outcome::error("Failed", "as asked");
        }
        "panic" => panic!("as asked"),
        "sleep" => sleep(seconds(argument, 1.0)).await,
        // What a language should not do, and may.
        "block" => std::thread::sleep(seconds(argument, 1.0)),
        "later" => {
            let io = io.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                io.stdout("later\n");
            });
        }
        "page" => {
            let data = plain("some help");
            let payload = vec![Payload::Page { data, start: 0 }];
            return Outcome::Ok { payload };
        }
        "flood" => {
            for n in 0..argument.parse().unwrap_or(1000) {
                io.stdout(&format!("line {n}\n"));
            }
        }
        "ask" => match io.input("name? ", argument == "secret").await {
            Ok(name) => io.stdout(&format!("hello {name}\n")),
            Err(error) => return Outcome::error("InputError", &error.to_string()),
        },
        "show" => {
            let id = DisplayId::new();
            io.display(plain("first"), Some(&id));
            io.update_display(&id, plain("second"));
        }
        "count" => {
            for n in 1..=3 {
                io.clear_output(true);
                io.stdout(&format!("{n}\n"));
            }
        }
        "comm" => {
            if let Some(comm) = io.open_comm("echo", json!({"says": argument})) {
                comm.send(json!("first"));
            }
        }
        "" => {}
        _ => io.result(plain(code)),
    }
    Outcome::ok()
}

fn seconds(argument: &str, default: f64) -> Duration {
    Duration::from_secs_f64(argument.parse().unwrap_or(default))
}

fn plain(text: &str) -> MimeBundle {
    let mut bundle = MimeBundle::new();
    bundle.insert("text/plain".to_owned(), json!(text));
    bundle
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some(file) = env::args_os().nth(1).map(PathBuf::from) else {
        return complain("usage: echo CONNECTION_FILE");
    };
    match kernel(file).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = error.to_string();
            let _ = write!(text, "\nhint: {}", error.hint());
            complain(&text)
        }
    }
}

async fn kernel(file: PathBuf) -> Result<(), JupyterError> {
    let options = Options {
        parent_pid: env::var("JPY_PARENT_PID").ok().and_then(|pid| pid.parse().ok()),
        ..Options::default()
    };
    serve(Connection::read(&file)?, Arc::new(Echo), options).await
}

fn complain(text: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::FAILURE
}
