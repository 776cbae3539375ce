//! What is read of the output of real training loops, and that nothing can break the reader.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

/// What a run printed, as a listing of what was read: rows, then the summary.
fn read(output: &str) -> String {
    shown(&whole(output.as_bytes()))
}

fn whole(output: &[u8]) -> Metrics {
    let mut reader = Reader::new();
    reader.push(output, Seconds(1.0));
    reader.finish()
}

fn shown(metrics: &Metrics) -> String {
    let mut text = String::new();
    for row in &metrics.rows {
        write!(text, "{}:", row.step).unwrap();
        for (name, value) in &row.values {
            write!(text, " {name}={value}").unwrap();
        }
        text.push('\n');
    }
    for (name, value) in &metrics.summary {
        writeln!(text, "{name} = {value}").unwrap();
    }
    text
}

#[test]
fn karpathy_autoresearch() {
    let output = "Vocab size: 8,192\nTime budget: 300s\nGradient accumulation steps: 4\n\
        \rstep 00000 (0.0%) | loss: 9.011234 | lrm: 1.00 | dt: 25310ms | tok/sec: 20,714 | mfu: 0.5% | epoch: 1 | remaining: 300s    \
        \rstep 00123 (12.9%) | loss: 3.214567 | lrm: 1.00 | dt: 310ms | tok/sec: 1,690,000 | mfu: 39.8% | epoch: 1 | remaining: 17s    \n\
        ---\nval_bpb:          0.997900\ntraining_seconds: 300.1\npeak_vram_mb:     45060.2\nmfu_percent:      39.80\n\
        total_tokens_M:   499.6\nnum_steps:        953\nnum_params_M:     50.3\ndepth:            8\n";
    insta::assert_snapshot!(read(output), @r"
    0: dt=25310 epoch=1 loss=9.011234 lrm=1 mfu=0.5 remaining=300 tok/sec=20714
    123: dt=310 epoch=1 loss=3.214567 lrm=1 mfu=39.8 remaining=17 tok/sec=1690000
    depth = 8
    mfu_percent = 39.8
    num_params_M = 50.3
    num_steps = 953
    peak_vram_mb = 45060.2
    total_tokens_M = 499.6
    training_seconds = 300.1
    val_bpb = 0.9979
    ");
}

#[test]
fn hugging_face_trainer() {
    let output = "{'loss': 0.52, 'grad_norm': 1.2, 'learning_rate': 5e-05, 'epoch': 0.01}\n\
        {'loss': '0.41', 'grad_norm': 'nan', 'learning_rate': '4e-05', 'epoch': '0.02'}\n\
        \r 10%|█         | 50/500 [00:10<01:30,  5.00it/s]\r                    \r\
        {'eval_loss': 0.39, 'eval_runtime': 1.5, 'epoch': 1.0}\n\
        {'train_runtime': 10.1, 'train_loss': inf, 'epoch': 1.0}\n";
    insta::assert_snapshot!(read(output), @r"
    0: epoch=0.01 grad_norm=1.2 learning_rate=0.00005 loss=0.52
    1: epoch=0.02 grad_norm=NaN learning_rate=0.00004 loss=0.41
    2: epoch=1 eval_loss=0.39 eval_runtime=1.5
    3: epoch=1 train_loss=inf train_runtime=10.1
    ");
}

#[test]
fn json_lines() {
    let output = "{\"step\": 10, \"loss\": 0.5, \"eval\": {\"acc\": 0.9}, \"time\": 3.5}\r\n\
        {\"global_step\": 11, \"loss\": NaN}\n{\"loss\": 0.4, \"acc\": 0.8, \"name\": \"x\"}\n{\"score\": 0.75}\n";
    insta::assert_snapshot!(read(output), @r"
    10: eval.acc=0.9 loss=0.5 time_=3.5
    11: loss=NaN
    2: acc=0.8 loss=0.4
    score = 0.75
    ");
}

#[test]
fn other_loops() {
    let nano_gpt =
        "step 250: train loss 1.9123, val loss 2.0456\niter 260: loss 1.8765, time 120.50ms, mfu 12.30%\n";
    insta::assert_snapshot!(read(nano_gpt), @r"
    250: train_loss=1.9123 val_loss=2.0456
    260: loss=1.8765 mfu=12.3 time_=120.5
    ");
    let tutorial = "Epoch [1/10], Step [100/600], Loss: 0.2345\n\
        Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.301234\n\
        Epoch 3: 100%|██████████| 469/469 [00:05<00:00, 85.2it/s, v_num=0, train_loss=0.123]\n";
    insta::assert_snapshot!(read(tutorial), @r"
    100: Loss=0.2345 epoch=1
    1: Loss=2.301234 epoch=1
    2: epoch=3 train_loss=0.123 v_num=0
    ");
    let keras = "Epoch 1/2\n469/469 [==============================] - 2s 4ms/step - loss: 0.2345 - accuracy: 0.9312\n";
    insta::assert_snapshot!(read(keras), @"0: accuracy=0.9312 loss=0.2345");
    let logged = "12:30:45 INFO step=3 loss=0.52 lr=1e-3\n2026-01-02 10:00:00,123 - INFO - loss: 0.51\n\
        [rank0]: val_loss: 0.5\n12:30:46 INFO acc=0.9 f1=0.8\n";
    insta::assert_snapshot!(read(logged), @r"
    3: loss=0.52 lr=0.001
    acc = 0.9
    f1 = 0.8
    loss = 0.51
    val_loss = 0.5
    ");
}

#[test]
fn summaries() {
    let output = "val_accuracy : 0.9000\nMETRIC ms=41.5\nMETRIC a.b=1 c/d: 2\nparse_us=121446\nx = -1.5e3\nloss: 1\nloss: 2 (best)\ntotal: 5 s\n\
        a: 1, b: 2\n---\nd: 4, e: 5\nstep 9 | loss: 7\n";
    insta::assert_snapshot!(read(output), @r"
    0: a=1 b=2
    9: loss=7
    a.b = 1
    c/d = 2
    d = 4
    e = 5
    loss = 2
    ms = 41.5
    parse_us = 121446
    total = 5
    val_accuracy = 0.9
    x = -1500
    ");
}

#[test]
fn prose_is_log() {
    for line in [
        "Loading model: done",
        "http://host:8080",
        "localhost:8080",
        "12:30:45 INFO x",
        "2026-01-02 10:00:00",
        "warning: unused variable: `x`",
        "  --> src/main.rs:42:13",
        "error[E0308]: mismatched types",
        "    Finished `release` profile [optimized] target(s) in 3m 05s",
        "test result: ok. 3 passed; 0 failed; finished in 0.02s",
        "version: 1.2.3",
        "commit: 5abcdef",
        "note: 3 errors were found",
        "Hello, world 5",
        "a, b: 5 and more",
        "Namespace(batch_size=32, lr=0.1)",
        "./train --seed=42 --depth=8",
        "12 |     let x = 5;",
        "Saved checkpoint at step 500",
        "Epoch 3/10",
        "step 7",
        "Step 1: Install 3 packages",
        "epoch=3-step=500.ckpt: 5 MB saved",
        "Accuracy: 9905/10000 (99%)",
        "METRIC",
        "METRIC of the day",
        "===== 5 =====",
        "{\"broken\": 1",
        "Traceback (most recent call last):",
        "File \"train.py\", line 12, in <module>",
        "[1, 2, 3]",
        "3.14",
        "nan",
        "-- 5 --",
    ] {
        assert_eq!(whole(line.as_bytes()), Metrics::default(), "{line}");
    }
}

#[test]
fn colours_and_broken_text_are_read_through() {
    let coloured = whole(b"\x1b[2K\x1b[1;32mstep 3\x1b[0m | \x1b]0;title\x07loss: \x1b[31m0.5\x1b[0m\n");
    assert_eq!(shown(&coloured), "3: loss=0.5\n");
    let broken = whole(b"\xff\xfe\nval: 0.5\n\xe2\x82 | loss: 2\n");
    assert_eq!(shown(&broken), "0: loss=2\nval = 0.5\n");
}

#[test]
fn nan_is_a_value_and_null_in_a_file() {
    let metrics = whole(b"step 1 | loss: nan | lr: 0.1\n");
    let row = &metrics.rows[0];
    assert!(row.values["loss"].is_nan());
    let line = serde_json::to_string(row).unwrap();
    assert_eq!(line, r#"{"step":1,"time":1.0,"loss":null,"lr":0.1}"#);
    let read: Row = serde_json::from_str(&line).unwrap();
    assert!(read.values["loss"].is_nan());
    assert_eq!((read.step, read.values["lr"]), (1, 0.1));
}

#[test]
fn a_row_is_there_as_soon_as_its_line_ends() {
    let mut reader = Reader::new();
    reader.push(b"step 1 | loss: 3", Seconds(1.0));
    assert_eq!(reader.take_rows(), []);
    reader.push(b".5\r", Seconds(2.0));
    let rows = reader.take_rows();
    assert_eq!((rows.len(), rows[0].time, rows[0].values["loss"]), (1, Seconds(2.0), 3.5));
    assert_eq!(reader.take_rows(), []);
    reader.push(b"a=1 | b=2", Seconds(3.0));
    reader.end();
    let rows = reader.take_rows();
    assert_eq!((rows.len(), rows[0].step), (1, 1), "a row without a step has its index");
}

#[test]
fn the_metric_is_the_summary_or_else_the_last_row() {
    let mut reader = Reader::new();
    reader.push(
        b"step 1 | loss: 3 | bpb: 1.5\nstep 2 | loss: 2\n---\nloss: 2.5\nstep 3 | loss: 9\n",
        Seconds(1.0),
    );
    assert_eq!(reader.metric("loss"), Some(2.5));
    assert_eq!(reader.metric("bpb"), Some(1.5));
    assert_eq!(reader.metric("none"), None);
    assert_eq!(reader.last().get("loss"), Some(&9.0));
    let metrics = reader.finish();
    assert_eq!((metrics.metric("loss"), metrics.metric("bpb")), (Some(2.5), Some(1.5)));
}

#[test]
fn a_file_is_part_of_the_summary() {
    let mut reader = Reader::new();
    reader.push(b"score: 1\nacc: 2\n", Seconds(1.0));
    assert!(!reader.object("[1, 2]") && !reader.object("{"));
    assert!(reader.object("{\n  \"score\": 0.75,\n  \"eval\": {\"a b\": 3}, \"step\": 9, \"ok\": true\n}\n"));
    assert_eq!(reader.metric("score"), Some(0.75));
    assert_eq!(shown(&reader.finish()), "acc = 2\neval.a_b = 3\nscore = 0.75\nstep = 9\n");
}

#[test]
fn an_endless_line_is_log_and_the_next_one_is_read() {
    let mut reader = Reader::new();
    for _ in 0..40 {
        reader.push(&[b'x'; 4096], Seconds(1.0));
    }
    reader.push(b" loss: 5\nval: 1\n", Seconds(1.0));
    assert_eq!(shown(&reader.finish()), "val = 1\n");
}

#[test]
fn names_are_bounded() {
    let output: Vec<String> = (0..1000).map(|i| format!("name_{i}: 1")).collect();
    assert_eq!(whole(output.join("\n").as_bytes()).summary.len(), 200);
    let long = format!("{}: 1\n{}: 2\n", "a".repeat(64), "b".repeat(65));
    assert_eq!(whole(long.as_bytes()).summary.len(), 1);
}

/// Output that is likely to be understood, so that splitting it can go wrong.
fn output() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just("\n".as_bytes().to_vec()),
        Just("\r".as_bytes().to_vec()),
        Just(b"\r\n".to_vec()),
        Just("\nstep 12 (1.5%) | loss: 3.25 | tok/sec: 1,690,000 | µ: 5µs\r".as_bytes().to_vec()),
        Just(b"\n---\n".to_vec()),
        Just(b"\nval_bpb:   0.99".to_vec()),
        Just(b"\n{'loss': 0.5, 'epoch': 0.1}\n".to_vec()),
        Just(b"\n\x1b[31mMETRIC a=1\x1b[0m\n".to_vec()),
        Just(b"\niter 3: loss 2, lr 0.1\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..20),
        Just(vec![b'y'; 40_000]),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_split_of_the_bytes_reads_the_same(output in output(), cuts in proptest::collection::vec(1_usize..60, 1..20)) {
        let mut reader = Reader::new();
        let mut rest = output.as_slice();
        let mut rows = Vec::new();
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            reader.push(piece, Seconds(1.0));
            rows.append(&mut reader.take_rows());
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        let Metrics { rows: mut left, summary } = reader.finish();
        rows.append(&mut left);
        // As text, since NaN is not equal to itself.
        prop_assert_eq!(format!("{:?}", Metrics { rows, summary }), format!("{:?}", whole(&output)));
    }

    #[test]
    fn any_line_is_read_without_panic_and_names_are_names(line in "[a-z0-9:=|,. (){}'\"%\\-\\[\\]éµ/]{0,60}") {
        let metrics = whole(line.as_bytes());
        for name in metrics.summary.keys().chain(metrics.rows.iter().flat_map(|row| row.values.keys())) {
            prop_assert!(is_name(name), "{}", name);
        }
    }

    #[test]
    fn a_printed_row_is_read_back(step in 0_u64..1_000_000, values in proptest::collection::btree_map("[a-z][a-z_/]{0,10}", -1e6..1e6_f64, 1..6)) {
        prop_assume!(values.keys().all(|name| !["time", "step", "iter", "epoch", "iteration"].contains(&name.as_str())));
        let pairs: Vec<String> = values.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        let metrics = whole(format!("step {step:05} | {}\n", pairs.join(" | ")).as_bytes());
        prop_assert_eq!(metrics.rows, vec![Row { step, time: Seconds(1.0), values }]);
    }
}

#[test]
fn a_line_that_was_cut_is_forgotten_and_one_without_an_end_is_read() {
    let read = |end: fn(&mut Reader)| {
        let mut reader = Reader::new();
        reader.push(b"step 1 | loss: 2.5\nstep 2 | loss: 2.", Seconds(0.0));
        end(&mut reader);
        (reader.last()["loss"], reader.finish().rows.len())
    };
    assert_eq!(read(Reader::cut), (2.5, 1));
    assert_eq!(read(Reader::end), (2.0, 2));
}
