//! An agent that behaves, and agents that do not.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agents::{AgentError, Session, Spec, Turn, Usage};

const LIMIT: Duration = Duration::from_secs(30);
/// For agents that never answer.
const SHORT: Duration = Duration::from_millis(300);

struct Trial {
    folder: tempfile::TempDir,
    session: Session,
    said: Arc<Mutex<Vec<String>>>,
    steps: Mutex<Vec<String>>,
}

impl Trial {
    fn new(mode: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("train.py"), "old\n").unwrap();
        std::fs::write(folder.path().join("prepare.py"), "old\n").unwrap();
        let fake = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_agent.py");
        let command = vec!["python3".to_owned(), fake.display().to_string(), mode.to_owned()];
        let mut spec = Spec::new(command, folder.path().to_owned());
        spec.environment.insert("PATH".to_owned(), std::env::var("PATH").unwrap());
        spec.writable = Arc::new(|path| path == Path::new("train.py"));
        let said = Arc::<Mutex<Vec<String>>>::default();
        let log = Arc::clone(&said);
        spec.log = Arc::new(move |line| log.lock().unwrap().push(line.to_owned()));
        spec.start = if mode == "silent" { SHORT } else { LIMIT };
        spec.grace = if mode == "deaf" { SHORT } else { LIMIT };
        Self { session: Session::new(spec), folder, said, steps: Mutex::default() }
    }

    async fn ask(&mut self, limit: Duration) -> Result<Turn, AgentError> {
        let steps = &self.steps;
        self.session.ask("whole", "more", limit, &|step| steps.lock().unwrap().push(step.to_owned())).await
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}

#[tokio::test]
async fn it_works_asks_and_is_answered() {
    for mode in ["ok", "noise", "big"] {
        let mut trial = Trial::new(mode);
        let turn = trial.ask(LIMIT).await.unwrap();
        assert!(turn.text.ends_with("hello"), "{mode}");
        assert_eq!(turn.text.len(), if mode == "big" { 3_000_005 } else { 5 });
        assert_eq!((turn.stop.as_str(), turn.usd), ("end_turn", Some(0.5)));
        assert_eq!(turn.usage, Some(Usage { input_tokens: 11, output_tokens: 7 }));
        let seen: serde_json::Value = serde_json::from_str(&trial.read("seen")).unwrap();
        assert_eq!(
            seen,
            serde_json::json!({
                "edit": "o-allow_once", "locked": "o-reject_once", "shell": "o-reject_once", "always": "cancelled",
                "file": -32601,
            })
        );
        assert_eq!(turn.log[0], "may: edit train.py (edit)");
        let mut steps = std::mem::take(&mut *trial.steps.lock().unwrap());
        steps.dedup();
        assert!(
            steps.ends_with(&["thinks", "is at `Read train.py`", "writes"].map(str::to_owned)),
            "{steps:?}"
        );
        assert_eq!(steps[..2], ["starts", "thinks"]);
        // Its cost is that of the session: the second turn of it cost nothing more.
        assert_eq!(trial.ask(LIMIT).await.unwrap().usd, Some(0.0));
        assert_eq!(trial.read("asked"), "whole\nmore\n");
    }
}

#[tokio::test]
async fn what_is_no_agent_is_told() {
    for (mode, said) in [
        ("early", "it ended (exit status: 7)"),
        ("version", "it speaks version 9 of the protocol, not 1"),
        ("auth", "session/new: Authentication required"),
        ("die", "it ended (exit status: 3)"),
        ("silent", "it did not answer `initialize` within 0 s"),
    ] {
        assert_eq!(Trial::new(mode).ask(LIMIT).await.unwrap_err().to_string(), said, "{mode}");
    }
    let mut trial = Trial::new("die");
    trial.ask(LIMIT).await.unwrap_err();
    assert_eq!(*trial.said.lock().unwrap(), ["I cannot go on"], "its last words are there when it has ended");
    let malformed = Trial::new("malformed").ask(LIMIT).await.unwrap_err().to_string();
    assert!(malformed.starts_with("it wrote what cannot be understood"), "{malformed}");
    let missing = Spec::new(vec!["no-such-agent".to_owned()], "/".into());
    let missing = Session::new(missing).ask("whole", "more", LIMIT, &|_| ()).await.unwrap_err().to_string();
    assert!(missing.starts_with("`no-such-agent` could not be started"), "{missing}");
}

#[tokio::test]
async fn one_that_died_meanwhile_is_started_again_and_told_everything() {
    let mut trial = Trial::new("die-once");
    assert_eq!(trial.ask(LIMIT).await.unwrap().text, "");
    assert_eq!(trial.ask(LIMIT).await.unwrap().text, "hello");
    assert_eq!(trial.read("asked"), "whole\nwhole\n");
}

#[tokio::test]
async fn one_that_takes_too_long_is_cancelled_and_kept() {
    let mut trial = Trial::new("slow");
    for _ in 0..2 {
        let Err(AgentError::Hung { turn, .. }) = trial.ask(SHORT).await else { panic!("it is not slow") };
        assert_eq!(turn.stop, "cancelled");
        assert_eq!(trial.read("late"), "cancelled", "nothing is granted while a turn is cancelled");
    }
    assert_eq!(trial.read("asked"), "whole\nmore\n");
}

#[tokio::test]
async fn one_that_does_not_listen_is_killed_with_its_children() {
    let mut trial = Trial::new("deaf");
    let Err(AgentError::Hung { turn, .. }) = trial.ask(SHORT).await else { panic!("it listens") };
    assert_eq!(turn.stop, "");
    let child = trial.read("child");
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).unwrap_or_default();
    for _ in 0..500 {
        if state().is_empty() || state().contains(") Z ") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("its child lives: {}", state());
}
