#![allow(clippy::unwrap_used)]
mod server;

use super::*;
use server::{Reply, Server};
use std::cell::RefCell;
use std::path::Path;

const PATIENCE: Patience =
    Patience { silence: Duration::from_secs(5), pause: Duration::from_millis(1), retries: 3 };

fn content() -> Vec<u8> {
    (0..50_000u32).flat_map(u32::to_le_bytes).collect()
}

fn sha256(bytes: &[u8]) -> String {
    crate::manifest::sha256(bytes)
}

fn hub(endpoint: &str, cache: &Path) -> Hub {
    Hub {
        endpoint: endpoint.to_owned(),
        token: Some("secret".to_owned()),
        dataset: DEFAULT_DATASET.to_owned(),
        shards: 1,
        cache: cache.to_path_buf(),
    }
}

/// Downloads with the validation file there already, so that one file is asked for; gives the reasons
/// of further attempts too.
fn download(endpoint: &str, cache: &Path) -> (Result<Vec<u8>, PrepareError>, Vec<String>) {
    std::fs::write(cache.join("shard_06542.parquet"), "there").unwrap();
    let again = RefCell::new(Vec::new());
    let result = hub(endpoint, cache).download_with(PATIENCE, &|event| {
        if let Event::Again { reason, .. } = event {
            again.borrow_mut().push(reason.to_owned());
        }
    });
    (result.map(|paths| std::fs::read(&paths[0]).unwrap()), again.into_inner())
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// As the hub answers: a redirect with the hash, to another host that has the bytes.
fn redirecting(cdn: &Server, sha256: &str, size: usize) -> Server {
    let location = format!("{}/blob?signature=1", cdn.url);
    let head = format!("X-Linked-Etag: \"{sha256}\"\r\nX-Linked-Size: {size}\r\nLocation: {location}\r\n");
    Server::start(move |_, _| Reply::new(302, &head, b""))
}

#[test]
fn a_redirect_is_followed_and_the_token_is_not_taken_along() {
    let bytes = content();
    let body = bytes.clone();
    let cdn = Server::start(move |_, _| Reply::new(200, "ETag: \"other\"\r\n", &body));
    let front = redirecting(&cdn, &sha256(&bytes), bytes.len());
    let cache = tempfile::tempdir().unwrap();
    let (result, again) = download(&front.url, cache.path());
    assert_eq!((result.unwrap(), again.len()), (bytes, 0));
    assert_eq!(names(cache.path()), ["shard_00000.parquet", "shard_06542.parquet"]);
    let path = "/datasets/karpathy/climbmix-400b-shuffle/resolve/main/shard_00000.parquet";
    assert!(front.requests()[0].starts_with(&format!("HEAD {path} ")), "{:?}", front.requests());
    assert!(front.requests()[0].contains("authorization: Bearer secret"));
    assert!(!cdn.requests()[0].contains("authorization"), "{:?}", cdn.requests());

    let asked = front.requests().len();
    download(&front.url, cache.path()).0.unwrap();
    assert_eq!(front.requests().len(), asked, "what is there is not asked for");
}

#[test]
fn a_cut_download_goes_on_where_it_was_cut() {
    let bytes = content();
    let body = bytes.clone();
    let cdn = Server::start(move |request, number| {
        let begin = server::range(request).unwrap_or(0);
        let head = format!("Content-Range: bytes {begin}-{}/{}\r\n", body.len() - 1, body.len());
        let reply = Reply::new(if begin > 0 { 206 } else { 200 }, &head, &body[begin..]);
        if number < 2 { reply.cut(70_000) } else { reply }
    });
    let front = redirecting(&cdn, &sha256(&bytes), bytes.len());
    let cache = tempfile::tempdir().unwrap();
    let (result, again) = download(&front.url, cache.path());
    assert_eq!((result.unwrap(), again.len()), (bytes, 2));
    let begins: Vec<_> = cdn.requests().iter().map(|request| server::range(request)).collect();
    assert_eq!(begins, [None, Some(70_000), Some(140_000)]);
}

#[test]
fn another_run_goes_on_too_and_a_file_that_changed_does_not() {
    let bytes = content();
    let body = bytes.clone();
    // A mirror that serves by itself: If-Range decides.
    let mirror = Server::start(move |request, _| match server::range(request) {
        Some(begin) if request.contains("if-range: \"v1\"") => {
            let head = format!("ETag: \"v1\"\r\nContent-Range: bytes {begin}-199999/200000\r\n");
            Reply::new(206, &head, &body[begin..])
        }
        _ => Reply::new(200, "ETag: \"v1\"\r\n", &body),
    });
    let cache = tempfile::tempdir().unwrap();
    std::fs::write(cache.path().join("shard_00000.parquet.v0.part"), "of an older file").unwrap();
    std::fs::write(cache.path().join("shard_00000.parquet.v1.part"), &bytes[..1000]).unwrap();
    assert_eq!(download(&mirror.url, cache.path()).0.unwrap(), bytes);
    let requests = mirror.requests();
    assert!(requests[0].starts_with("HEAD ") && requests[1].contains("range: bytes=1000-"), "{requests:?}");
    // What was of an older file is gone with the download.
    assert_eq!(names(cache.path()), ["shard_00000.parquet", "shard_06542.parquet"]);
}

#[test]
fn a_server_without_ranges_sends_all_of_it_again() {
    let bytes = content();
    let body = bytes.clone();
    let cdn = Server::start(move |_, number| {
        let reply = Reply::new(200, "", &body);
        if number == 0 { reply.cut(70_000) } else { reply }
    });
    let front = redirecting(&cdn, &sha256(&bytes), bytes.len());
    let cache = tempfile::tempdir().unwrap();
    let (result, again) = download(&front.url, cache.path());
    assert_eq!((result.unwrap(), again.len()), (bytes, 1));
}

#[test]
fn a_wrong_checksum_is_tried_again_and_then_reported() {
    let bytes = content();
    let mut wrong = bytes.clone();
    wrong[1000] ^= 1;
    let cdn = Server::start(move |_, _| Reply::new(200, "", &wrong));
    let front = redirecting(&cdn, &sha256(&bytes), bytes.len());
    let cache = tempfile::tempdir().unwrap();
    let (result, again) = download(&front.url, cache.path());
    let error = result.unwrap_err();
    assert!(
        matches!(&error, PrepareError::WrongDownload { reason, .. } if reason.contains("SHA-256")),
        "{error}"
    );
    assert_eq!(again.len(), 3);
    assert_eq!(names(cache.path()), ["shard_06542.parquet"], "nothing wrong is kept");
}

#[test]
fn a_refused_range_begins_anew() {
    let bytes = content();
    let body = bytes.clone();
    let cdn = Server::start(move |request, _| match server::range(request) {
        Some(_) => Reply::new(416, "", b""),
        None => Reply::new(200, "", &body),
    });
    let front = redirecting(&cdn, &sha256(&bytes), bytes.len());
    let cache = tempfile::tempdir().unwrap();
    let part = format!("shard_00000.parquet.{}.part", &sha256(&bytes)[..16]);
    std::fs::write(cache.path().join(part), "damaged").unwrap();
    let (result, again) = download(&front.url, cache.path());
    assert_eq!((result.unwrap(), again), (bytes, vec!["the answer is 416 Range Not Satisfiable".to_owned()]));
}

#[test]
fn what_can_pass_is_waited_for_and_what_cannot_is_not() {
    let bytes = content();
    let body = bytes.clone();
    let busy = Server::start(move |request, number| match (request.starts_with("HEAD"), number) {
        (true, 0) => Reply::new(503, "", b""),
        (false, 0) => Reply::new(429, "", b""),
        _ => Reply::new(200, "", &body),
    });
    let cache = tempfile::tempdir().unwrap();
    let (result, again) = download(&busy.url, cache.path());
    assert_eq!((result.unwrap(), again.len()), (bytes, 2));

    for (status, hint) in [(404, "shard_06542.parquet"), (401, "HF_TOKEN"), (403, "HF_TOKEN")] {
        let refusing = Server::start(move |_, _| Reply::new(status, "", b""));
        let cache = tempfile::tempdir().unwrap();
        let (result, again) = download(&refusing.url, cache.path());
        let error = result.unwrap_err();
        assert!(error.to_string().ends_with(&format!("the answer is status {status}")), "{error}");
        assert!(error.hint().contains(hint), "{}", error.hint());
        assert!(error.to_string().contains(&refusing.url) && again.is_empty());
    }
}

#[test]
fn without_a_connection_the_error_says_what_to_do() {
    // A port that nobody listens at.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let cache = tempfile::tempdir().unwrap();
    let (result, again) = download(&endpoint, cache.path());
    let error = result.unwrap_err();
    assert!(error.to_string().contains("shard_00000.parquet: "), "{error}");
    assert!(error.to_string().to_lowercase().contains("connection refused"), "{error}");
    for way in ["HF_ENDPOINT", "--text DIR", "offline corpus"] {
        assert!(error.hint().contains(way), "{}", error.hint());
    }
    assert_eq!(again.len(), 3);
}

#[test]
fn another_dataset_has_a_folder_of_its_own() {
    let mut hub = hub(DEFAULT_ENDPOINT, Path::new("cache"));
    assert_eq!(hub.folder(), Path::new("cache"));
    hub.dataset = "me/mine".to_owned();
    assert_eq!(hub.folder(), Path::new("cache/me--mine"));
}
