//! The real worker: real evcxr, real rustc. Each cell is compiled, so a few tests share a worker.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::cast_possible_wrap)]

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cells::{Bundle, CellError, Config, Outcome, Sink, StreamName, Worker};
use tempfile::TempDir;

/// Keeps what a cell sends.
#[derive(Default)]
struct Kept {
    stdout: Mutex<String>,
    stderr: Mutex<String>,
    values: Mutex<Vec<Bundle>>,
    news: tokio::sync::Notify,
}

#[async_trait::async_trait]
impl Sink for Kept {
    fn stream(&self, name: StreamName, text: &str) {
        let to = if name == StreamName::Stdout { &self.stdout } else { &self.stderr };
        to.lock().unwrap().push_str(text);
        self.news.notify_one();
    }

    fn display(&self, bundle: Bundle) {
        self.values.lock().unwrap().push(bundle);
    }

    async fn ask(&self, prompt: &str, password: bool) -> Option<String> {
        Some(format!("{prompt} {password}"))
    }
}

impl Kept {
    fn stdout(&self) -> String {
        self.stdout.lock().unwrap().clone()
    }

    fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    fn value(&self, mime: &str) -> String {
        let values = self.values.lock().unwrap();
        assert_eq!(values.len(), 1, "{values:?}");
        values[0][mime].as_str().unwrap().to_owned()
    }
}

struct Bench {
    worker: Worker,
    temp: TempDir,
}

impl Bench {
    fn new(env: &[(&str, &str)]) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let worker = Worker::new(Config {
            program: env!("CARGO_BIN_EXE_cells-worker").into(),
            args: Vec::new(),
            directory: temp.path().to_owned(),
            build: None,
            cache: temp.path().join("cache"),
            // Backtraces, where the tester's environment asks for them, are not the same everywhere.
            env: env
                .iter()
                .chain(&[("RUST_BACKTRACE", "0")])
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        });
        Self { worker, temp }
    }

    async fn run(&self, code: &str) -> (Outcome, Kept) {
        let kept = Kept::default();
        let start = Instant::now();
        let outcome = self.worker.execute(code, &kept).await;
        println!("{:>6} ms  {}", start.elapsed().as_millis(), code.lines().next().unwrap_or_default());
        (outcome, kept)
    }

    async fn ok(&self, code: &str) -> Kept {
        let (outcome, kept) = self.run(code).await;
        assert_eq!(outcome, Outcome::Ok, "{code}\n{}", kept.stderr());
        kept
    }

    async fn fails(&self, code: &str) -> (CellError, Kept) {
        match self.run(code).await {
            (Outcome::Error(error), kept) => (error, kept),
            (other, _) => panic!("{code}: {other:?}"),
        }
    }

    /// Starts a cell, and interrupts it when it has printed something.
    async fn interrupted(&self, code: &str) -> CellError {
        let kept = Kept::default();
        let (outcome, ()) = tokio::join!(self.worker.execute(code, &kept), async {
            kept.news.notified().await;
            self.worker.interrupt();
        });
        match outcome {
            Outcome::Interrupted(error) => error,
            other => panic!("{other:?}"),
        }
    }
}

fn plain(error: &CellError) -> String {
    let text = error.traceback.join("\n");
    let mut out = String::new();
    let mut parts = text.split("\u{1b}[");
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn cells_compute_print_show_and_fail() {
    let bench = Bench::new(&[]);
    assert!(!bench.worker.is_running().await);
    assert!(bench.worker.complete("std::f", 6).await.matches.is_empty());
    assert!(!bench.worker.is_running().await, "a completion starts nothing");

    assert_eq!(bench.ok("1+1").await.value("text/plain"), "2");
    bench.ok("let mut x = 40;").await;
    assert_eq!(bench.ok("x += 2; x").await.value("text/plain"), "42");

    prints(&bench).await;
    fails(&bench).await;
    shows(&bench).await;

    bench.worker.shutdown().await;
    assert!(!bench.worker.is_running().await);
    assert_eq!(left_in(&bench.temp.path().join("cache/cells")), 0);
}

fn left_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

async fn prints(bench: &Bench) {
    let kept = bench.ok("println!(\"out\"); eprintln!(\"err\"); print!(\"50%\\r\");").await;
    assert_eq!((kept.stdout().as_str(), kept.stderr().as_str()), ("out\n50%\r", "err\n"));
    let kept = bench.ok("for i in 0..50_000 { println!(\"{i}\"); }").await;
    assert_eq!(kept.stdout().lines().count(), 50_000);
    assert!(kept.stdout().ends_with("49999\n"));
    let kept = bench
        .ok("{ use std::io::Write; let mut o = std::io::stdout(); o.write_all(b\"a\\xffz\").unwrap(); o.flush().unwrap(); }")
        .await;
    assert_eq!(kept.stdout(), "a\u{fffd}z");
}

async fn fails(bench: &Bench) {
    let (error, _) = bench.fails("let y = 1;\nlet z: i32 = y + nothing;").await;
    assert_eq!(error.ename, "CompileError");
    insta::assert_snapshot!(error.evalue, @"cannot find value `nothing` in this scope [E0425] at line 2 column 18");
    insta::assert_snapshot!(plain(&error), @r"
    error[E0425]: cannot find value `nothing` in this scope
     --> cell:2:18
      |
    2 | let z: i32 = y + nothing;
      |                  ^^^^^^^ not found in this scope
    ");

    let (error, kept) =
        bench.fails("println!(\"before\");\nlet empty: Vec<i32> = vec![];\nempty[x as usize];").await;
    assert_eq!(error.ename, "panic");
    assert_eq!(kept.stdout(), "before\n");
    assert_eq!(kept.stderr(), "");
    insta::assert_snapshot!(plain(&error), @r"
    panic: index out of bounds: the len is 0 but the index is 42
     --> cell:3
    3 | empty[x as usize];
    Variables of earlier cells are kept.
    ");
    assert_eq!(bench.ok("x").await.value("text/plain"), "42");
    let kept = bench.ok("std::panic::catch_unwind(|| panic!(\"caught\")).is_err()").await;
    assert_eq!(kept.value("text/plain"), "true");
    assert!(kept.stderr().contains("caught"), "{}", kept.stderr());

    let (error, _) = bench.fails("std::fs::read_to_string(\"/no/such/file\")?").await;
    assert!(error.evalue.contains("No such file"), "{error:?}");
}

async fn shows(bench: &Bench) {
    let show = r#"
        struct Table;
        impl Table {
            fn evcxr_display(&self) {
                println!("EVCXR_BEGIN_CONTENT text/html\n<b>1</b>\nEVCXR_END_CONTENT");
                println!("EVCXR_BEGIN_CONTENT application/json\n{{\"a\": 1}}\nEVCXR_END_CONTENT");
            }
        }
        Table"#;
    let kept = bench.ok(show).await;
    assert_eq!(kept.value("text/html"), "<b>1</b>");
    assert_eq!(kept.values.lock().unwrap()[0]["application/json"]["a"], 1);

    assert!(bench.ok(":vars").await.value("text/plain").contains("x: i32"));
    let (error, _) = bench.fails(":dep nosuch = { path = \"/no/such/crate\" }").await;
    assert!(plain(&error).contains("/no/such/crate"), "{error:?}");
    let dependency = bench.temp.path().join("helper");
    write_crate(&dependency);
    let kept =
        bench.ok(&format!(":dep helper = {{ path = \"{}\" }}\nhelper::answer()", dependency.display())).await;
    assert_eq!(kept.value("text/plain"), "42");
    assert!(kept.stderr().contains("Compiling helper"), "{}", kept.stderr());

    // The first answer takes rust-analyzer longer than anyone waits at a keyboard.
    let limit = Instant::now() + Duration::from_mins(2);
    let completions = loop {
        let completions = bench.worker.complete("x.check", 7).await;
        if !completions.matches.is_empty() || Instant::now() > limit {
            break completions;
        }
    };
    assert_eq!((completions.start, completions.end), (2, 7));
    assert!(completions.matches.iter().any(|one| one.text.starts_with("checked_add")), "{completions:?}");
}

fn write_crate(folder: &Path) {
    std::fs::create_dir_all(folder.join("src")).unwrap();
    std::fs::write(
        folder.join("Cargo.toml"),
        "[package]\nname = \"helper\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n",
    )
    .unwrap();
    std::fs::write(folder.join("src/lib.rs"), "pub fn answer() -> i32 { 42 }\n").unwrap();
}

/// Whether a process of this group runs. (What is dead and waits for its parent does not.)
fn alive(group: i32) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        fields.get(2) == Some(&group.to_string().as_str()) && !matches!(fields[0], "Z" | "X")
    })
}

async fn gone(group: i32) -> bool {
    let limit = Instant::now() + Duration::from_secs(10);
    while alive(group) {
        if Instant::now() > limit {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}

/// The process group that a cell runs in.
const GROUP: &str = r#"std::fs::read_to_string("/proc/self/stat").unwrap().rsplit(')').next().unwrap()
    .split_whitespace().nth(2).unwrap().parse::<i32>().unwrap()"#;

#[tokio::test(flavor = "multi_thread")]
async fn cells_are_interrupted_and_die_without_harm() {
    let bench = Bench::new(&[]);
    let group: i32 = bench.ok(GROUP).await.value("text/plain").parse().unwrap();
    assert!(alive(group));
    bench.worker.interrupt();
    assert!(alive(group), "an idle worker is not interrupted");

    let code =
        "std::process::Command::new(\"sleep\").arg(\"1000\").spawn().unwrap(); println!(\"on\"); loop {}";
    let error = bench.interrupted(code).await;
    assert_eq!(error.ename, "Interrupted");
    assert_eq!(plain(&error), "Interrupted: the cell was interrupted\nThere were no variables before it.");
    assert!(alive(group), "the worker stays");

    assert_eq!(bench.ok("2 * 3").await.value("text/plain"), "6");
    let (error, kept) = bench.fails("println!(\"last\"); std::process::abort();").await;
    assert_eq!(kept.stdout(), "last\n");
    assert!(error.evalue.contains("SIGABRT"), "{error:?}");
    let (error, _) = bench.fails("std::process::exit(3);").await;
    assert!(error.evalue.contains("exit status: 3"), "{error:?}");
    assert_eq!(bench.ok("7").await.value("text/plain"), "7");

    // The worker itself, as the kernel of a machine without memory would end it.
    let group: i32 = bench.ok(GROUP).await.value("text/plain").parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(group), nix::sys::signal::Signal::SIGKILL).unwrap();
    let (error, _) = bench.fails("8").await;
    assert!(error.evalue.contains("SIGKILL"), "{error:?}");
    assert!(gone(group).await);

    let (outcome, kept) = bench.run(":quit").await;
    assert_eq!(outcome, Outcome::Ok);
    assert!(kept.stderr().contains("starts afresh"));

    // Dropped without a farewell, as when the kernel panics.
    let group: i32 = bench.ok(GROUP).await.value("text/plain").parse().unwrap();
    drop(bench);
    assert!(gone(group).await);
}

/// A kernel that is killed closes its end of the worker's pipes, and does nothing else any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_kernel_is_gone_ends_with_its_cell() {
    use std::io::{BufRead, Write};
    use std::os::unix::process::CommandExt;

    let temp = tempfile::tempdir().unwrap();
    let mut worker = std::process::Command::new(env!("CARGO_BIN_EXE_cells-worker"))
        .current_dir(temp.path())
        .env("EVCXR_TMPDIR", temp.path().join("evcxr"))
        .env("OVERNIGHT_CELLS_OUTPUT", temp.path().join("output"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let group = worker.id() as i32;
    let mut requests = worker.stdin.take().unwrap();
    writeln!(requests, r#"{{"type":"execute","id":1,"code":"println!(\"on\"); loop {{}}"}}"#).unwrap();
    let mut line = String::new();
    std::io::BufReader::new(worker.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), r#"{"type":"stream","id":1,"name":"stdout","text":"on\n"}"#);
    drop(requests);
    assert!(gone(group).await);
    worker.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_toolchain_the_error_says_what_to_install() {
    let bench = Bench::new(&[("PATH", "/nonexistent"), ("HOME", "/nonexistent")]);
    let (error, _) = bench.fails("1").await;
    assert_eq!(error.ename, "NoRustToolchain");
    assert!(plain(&error).contains("https://rustup.rs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_does_not_start_is_named() {
    let temp = tempfile::tempdir().unwrap();
    let config = |program: &str| Config {
        program: program.into(),
        args: Vec::new(),
        directory: temp.path().to_owned(),
        build: None,
        cache: temp.path().to_owned(),
        env: Vec::new(),
    };
    let outcome = Worker::new(config("/no/such/program")).execute("1", &Kept::default()).await;
    assert!(outcome.error().unwrap().evalue.contains("/no/such/program"), "{outcome:?}");
    let outcome = Worker::new(config("/bin/false")).execute("1", &Kept::default()).await;
    assert!(outcome.error().unwrap().evalue.contains("exit status: 1"), "{outcome:?}");
    let outcome = Worker::new(config("/bin/cat")).execute("1", &Kept::default()).await;
    assert!(outcome.error().unwrap().evalue.contains("no reply"), "{outcome:?}");
}
