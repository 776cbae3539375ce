use insta::assert_snapshot;
use lab::{CommitId, Event, RunId, Seconds};
use uuid::Uuid;

use super::support::{Lab, id, row};
use crate::{Which, metrics_json, rows_json};

fn begin(lab: &Lab, number: u64) -> RunId {
    begin_in(lab, number, 0)
}

fn begin_in(lab: &Lab, number: u64, slot: u32) -> RunId {
    let run = RunId(Uuid::from_u128(u128::from(number) + 77));
    let proposer = "search".to_owned();
    lab.journal(10, Event::Proposing { experiment: id(number), number, slot: 0, proposer, parent: None });
    lab.journal(
        11,
        Event::RunStarted { experiment: id(number), run, slot, seed: 42, budget: Seconds(300.0) },
    );
    run
}

#[test]
fn each_run_in_progress_has_its_own_curve() {
    let lab = Lab::new();
    lab.append(|_| ());
    for (number, slot, loss) in [(2, 1, 9.0), (1, 0, 5.0)] {
        let path = lab.run_folder(begin_in(&lab, number, slot)).join("metrics.jsonl");
        for step in 0..2 {
            Lab::line(&path, &serde_json::to_string(&row(step, loss - step as f64)).unwrap());
        }
    }
    let mut frames = lab.frames();
    let curves = frames.curves_running(&lab.tag).unwrap();
    let seen: Vec<_> =
        curves.iter().map(|it| (it.slot, it.number, it.name.as_str(), it.points.clone())).collect();
    assert_eq!(
        seen,
        [
            (0, Some(1), "loss", vec![(0.0, 5.0), (1.0, 4.0)]),
            (1, Some(2), "loss", vec![(0.0, 9.0), (1.0, 8.0)])
        ]
    );
}

#[test]
fn a_printed_metric_is_in_the_frame_at_the_next_look() {
    let lab = Lab::new();
    lab.append(|_| ());
    let run = begin(&lab, 1);
    let mut frames = lab.frames();
    assert_eq!(frames.metrics(&lab.tag, Which::Number(1)).unwrap().height(), 0);
    let path = lab.run_folder(run).join("metrics.jsonl");
    Lab::line(&path, &serde_json::to_string(&row(1, 3.5)).unwrap());
    assert_eq!(frames.metrics(&lab.tag, Which::Running).unwrap().height(), 1);
    let mut odd = row(2, f64::NAN);
    odd.values.insert("run".to_owned(), 7.0);
    Lab::line(&path, &serde_json::to_string(&odd).unwrap());
    assert_snapshot!(metrics_json(&frames.metrics(&lab.tag, Which::Number(1)).unwrap()), @r#"{"schema":1,"columns":{"step":[1,2],"time":[1.0,2.0],"loss":[3.5,null],"run_":[null,7.0]}}"#);
    assert_eq!(frames.metrics(&lab.tag, Which::All).unwrap().height(), 5);
    let both = frames
        .sql(
            &lab.tag,
            "SELECT experiment, MAX(step) AS steps FROM metrics GROUP BY experiment ORDER BY experiment",
        )
        .unwrap();
    assert_snapshot!(rows_json(&both), @r#"[{"experiment":0,"steps":20},{"experiment":1,"steps":2}]"#);
    let runs = frames.sql(&lab.tag, "SELECT experiment, exit FROM runs").unwrap();
    assert_snapshot!(rows_json(&runs), @r#"[{"experiment":0,"exit":"0"},{"experiment":1,"exit":"running"}]"#);
}

#[test]
fn a_recorded_experiment_is_no_longer_live() {
    let lab = Lab::new();
    lab.append(|_| ());
    let run = begin(&lab, 1);
    let path = lab.run_folder(run).join("metrics.jsonl");
    Lab::line(&path, &serde_json::to_string(&row(1, 3.5)).unwrap());
    let mut frames = lab.frames();
    let ended = Event::RunEnded {
        experiment: id(1),
        run,
        exit: "0".to_owned(),
        value: Some(0.98),
        seconds: Seconds(300.0),
    };
    lab.journal(12, ended);
    let live = frames.live(&lab.tag).unwrap();
    assert_eq!((live.len(), live[0].number, live[0].exit.as_deref()), (1, Some(1), Some("0")));
    // In the ledger, though the journal does not say so yet: told once.
    lab.append(|_| ());
    assert_eq!(frames.live(&lab.tag).unwrap(), []);
    assert_eq!(frames.metrics(&lab.tag, Which::Number(1)).unwrap().height(), 3);
    lab.journal(13, Event::Recorded { experiment: id(1), commit: CommitId::new("0".repeat(40)) });
    assert_eq!(frames.metrics(&lab.tag, Which::All).unwrap().height(), 6);
    assert_eq!(frames.metrics(&lab.tag, Which::Running).unwrap().height(), 0);
    let error = frames.metrics(&lab.tag, Which::Number(2)).unwrap_err();
    assert_eq!(error.hint().unwrap(), "the experiments are 0 to 1");
}
