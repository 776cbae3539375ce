//! What needs a person: shown by the status, and told once to the command or webhook that the program names.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Engine;
use super::draft::read_program;
use crate::environment::Variables;
use crate::processes;
use crate::shell::Shell;

/// How long telling it may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// No more than this of what has happened is told, in bytes.
const LONGEST: usize = 2000;

/// What needs a person. Each is told once in a loop, however often it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alert {
    /// The baseline fails: no loop can work on this lab.
    Baseline,
    /// The loop has ended because something is broken.
    Failed,
    /// What proposing may cost is spent.
    Budget,
    /// The loop waits for something that a person has to mend.
    Paused,
    /// The loop waits for the machine.
    Trouble,
    /// The program cannot be read.
    Program,
    /// This experiment is too good to be true.
    Suspect(u64),
}

impl Alert {
    /// Its name for scripts.
    fn name(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Failed => "failed",
            Self::Budget => "budget",
            Self::Paused => "paused",
            Self::Trouble => "trouble",
            Self::Program => "program",
            Self::Suspect(_) => "suspect",
        }
    }
}

/// What has been told in this loop, and what is being told.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    /// What still needs a person, with the sentence that says so.
    pub(crate) open: Vec<(Alert, String)>,
    /// What was told.
    told: Vec<Alert>,
    /// The program's `alert` when it could last be read.
    to: Option<String>,
    telling: Vec<tokio::task::JoinHandle<()>>,
}

impl Alerts {
    /// A loop begins, or a person goes on with it: what was told may be told again.
    pub(crate) fn forget(&mut self) {
        self.open.clear();
        self.told.clear();
    }

    /// Where to tell, as the program has it now.
    pub(crate) fn learn(&mut self, to: Option<&String>) {
        self.to = to.cloned();
    }

    /// It is over.
    pub(crate) fn settle(&mut self, alert: Alert) {
        self.open.retain(|(open, _)| *open != alert);
    }
}

impl Engine {
    /// Says that something needs a person. Nothing waits for it, and a failure is a line of the log.
    pub(super) fn alert(&self, alert: Alert, text: &str) {
        let text = self.host.variables.redacted(&cut(text.trim()));
        let mut live = self.live();
        match live.alerts.open.iter_mut().find(|(open, _)| *open == alert) {
            Some((_, open)) => open.clone_from(&text),
            None => live.alerts.open.push((alert, text.clone())),
        }
        if live.alerts.told.contains(&alert) {
            return;
        }
        live.alerts.told.push(alert);
        drop(live);
        // A file server that is away would hold up everything.
        let program = if alert == Alert::Trouble { None } else { read_program(&self.root, None).ok() };
        let mut live = self.live();
        if let Some((_, lab)) = program {
            live.alerts.to = lab.alert;
        }
        let Some(to) = live.alerts.to.clone() else { return };
        let message = json!({
            "schema": lab::SCHEMA,
            "alert": alert.name(),
            "text": format!("{}: {text}", self.root.file_name().map_or("lab".into(), |name| name.to_string_lossy())),
            "lab": self.root,
            "tag": live.tag,
            "at": Timestamp::now(),
            "experiment": if let Alert::Suspect(number) = alert { Some(number) } else { None },
            "experiments": live.current.as_ref().map(|current| current.counts.finished),
            "best": live.best,
        });
        let (root, variables) = (self.root.clone(), self.host.variables.clone());
        live.alerts.telling.retain(|task| !task.is_finished());
        live.alerts.telling.push(tokio::spawn(tell(root, variables, to, message)));
    }

    /// Returns once nothing is being told any more.
    pub(super) async fn told(&self) {
        let telling = std::mem::take(&mut self.live().alerts.telling);
        for task in telling {
            let _ = task.await;
        }
    }
}

async fn tell(root: PathBuf, variables: Variables, to: String, message: Value) {
    // An address is as good as a key: it may stand in a variable, which no file shows.
    let to = match to.strip_prefix('$').map(|name| variables.get(name)) {
        None => to,
        Some(Some(value)) => value.to_owned(),
        Some(None) => return tracing::warn!("the alert was not told: {to} is not set"),
    };
    let told = if to.starts_with("https://") || to.starts_with("http://") {
        post(&to, &message).await
    } else {
        call(&root, &variables, &to, &message).await
    };
    if let Err(why) = told {
        tracing::warn!("the alert was not told: it {}", variables.redacted(&why));
    }
}

/// Runs the lab's command with the message on its standard input.
async fn call(root: &Path, variables: &Variables, command: &str, message: &Value) -> Result<(), String> {
    let mark = uuid::Uuid::now_v7().to_string();
    let shell = Shell { folder: root, variables, mark: &mark, timeout: TIMEOUT };
    let printed = shell.run(command, message.to_string().as_bytes()).await;
    crate::blocking::here(|| processes::sweep(std::slice::from_ref(&mark)));
    printed.map(drop)
}

/// Sends the message to a webhook.
async fn post(address: &str, message: &Value) -> Result<(), String> {
    // The first to say so is heard; any other says the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut client = reqwest::Client::builder()
        .timeout(TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("overnight/", env!("CARGO_PKG_VERSION")));
    if address.starts_with("http://") {
        // This machine's own: neither a proxy nor certificates, which it may not have.
        client = client.no_proxy().tls_certs_only([]);
    }
    // What is said of an error never holds the address.
    let said = |error: reqwest::Error| format!("failed: {}", error.without_url());
    let sent = client.build().map_err(said)?.post(address).json(message).send().await.map_err(said)?;
    if sent.status().is_success() { Ok(()) } else { Err(format!("was answered by {}", sent.status())) }
}

/// The beginning of a text.
fn cut(text: &str) -> String {
    match text.floor_char_boundary(LONGEST) {
        all if all == text.len() => text.to_owned(),
        end => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn long_texts_are_cut_between_letters() {
        assert_eq!(cut("short"), "short");
        let long = "é".repeat(LONGEST);
        assert!(cut(&long).ends_with("é…") && cut(&long).len() < LONGEST + 4);
    }

    #[tokio::test]
    async fn a_command_that_fails_is_told_of_without_its_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let variables = Variables(
            [("PATH".to_owned(), "/usr/bin:/bin".to_owned()), ("API_KEY".to_owned(), "hunter-22".to_owned())]
                .into(),
        );
        let message = json!({"text": "it stopped"});
        call(folder.path(), &variables, "cat > told.json", &message).await.unwrap();
        let told: Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("told.json")).unwrap()).unwrap();
        assert_eq!(told, message);
        let why = call(folder.path(), &variables, "echo $API_KEY >&2; exit 3", &message).await.unwrap_err();
        assert!(
            variables.redacted(&why).contains("$API_KEY") && !variables.redacted(&why).contains("hunter"),
            "{why}"
        );
    }
}
