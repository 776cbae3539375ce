//! One file: resumed, checked, renamed into place.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use backon::{ExponentialBuilder, Retryable as _};
use reqwest::StatusCode;
use reqwest::header::CONTENT_RANGE;

use super::remote::{Client, Fault, Remote};
use super::{Event, Patience};
use crate::corpus::sha256_of;
use crate::error::PrepareError;

/// Downloads `url` to `path`, in several attempts where that can help.
pub(super) async fn file(
    client: &Client,
    url: &str,
    path: &Path,
    patience: Patience,
    on: &dyn Fn(Event<'_>),
) -> Result<(), PrepareError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let pauses = ExponentialBuilder::default()
        .with_jitter()
        .with_min_delay(patience.pause)
        .with_max_delay(patience.pause * 30)
        .with_max_times(patience.retries);
    (|| attempt(client, url, path, &name, on))
        .retry(pauses)
        .when(Fault::can_pass)
        .notify(|fault, pause| on(Event::Again { file: &name, reason: &fault.to_string(), pause }))
        .await
        .map_err(|fault| fault.of(url))?;
    on(Event::Whole { file: &name });
    Ok(())
}

async fn attempt(
    client: &Client,
    url: &str,
    path: &Path,
    name: &str,
    on: &dyn Fn(Event<'_>),
) -> Result<(), Fault> {
    let remote = client.look_up(url).await?;
    let part = part_of(path, &remote);
    let local = |error| Fault::Local(PrepareError::write(&part)(error));
    let mut file =
        OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&part).map_err(local)?;
    // Two downloads into one file would both be wrong.
    file.try_lock().map_err(|error| match error {
        fs::TryLockError::WouldBlock => Fault::Local(PrepareError::Downloading(part.clone())),
        fs::TryLockError::Error(error) => local(error),
    })?;
    let mut begin = file.seek(SeekFrom::End(0)).map_err(local)?;
    if remote.key().is_none() || remote.size.is_some_and(|size| begin > size) {
        begin = start_again(&mut file).map_err(local)?;
    }
    if begin == 0 || remote.size != Some(begin) {
        receive(client, &remote, &mut file, &part, begin, &|bytes| {
            on(Event::Bytes { file: name, bytes, size: remote.size });
        })
        .await?;
    }
    file.sync_all().map_err(local)?;
    check(&remote, &part)?;
    fs::rename(&part, path).map_err(|error| Fault::Local(PrepareError::write(path)(error)))?;
    remove_parts(path, name);
    Ok(())
}

/// Parts of older versions of the file; one that cannot be removed only takes space.
fn remove_parts(path: &Path, name: &str) {
    let folder = path.parent().unwrap_or(path);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let other = entry.file_name().to_string_lossy().into_owned();
        let is_part = Path::new(&other).extension().is_some_and(|extension| extension == "part");
        if is_part && other.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Appends what is missing.
async fn receive(
    client: &Client,
    remote: &Remote,
    file: &mut File,
    part: &Path,
    mut begin: u64,
    on: &dyn Fn(u64),
) -> Result<(), Fault> {
    let local = |error| Fault::Local(PrepareError::write(part)(error));
    let mut response = client.get(remote, begin).await?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            let range = response.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
            if range.is_none_or(|range| !range.starts_with(&format!("bytes {begin}-"))) {
                start_again(file).map_err(local)?;
                return Err(Fault::Wrong(format!("bytes from {begin} on were asked for, others came")));
            }
        }
        // The whole file: it is another now, or the server knows no ranges.
        StatusCode::OK => begin = start_again(file).map_err(local)?,
        status => {
            if status == StatusCode::RANGE_NOT_SATISFIABLE {
                start_again(file).map_err(local)?;
            }
            return Err(Fault::Status(status));
        }
    }
    while let Some(bytes) = response.chunk().await? {
        file.write_all(&bytes).map_err(local)?;
        begin += bytes.len() as u64;
        on(begin);
    }
    Ok(())
}

fn start_again(file: &mut File) -> std::io::Result<u64> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))
}

/// A file that is not the right one is removed, so that the next attempt begins anew.
fn check(remote: &Remote, part: &Path) -> Result<(), Fault> {
    let local = |error| Fault::Local(PrepareError::read(part)(error));
    let length = fs::metadata(part).map_err(local)?.len();
    let reason = match (remote.size, remote.sha256()) {
        (Some(size), _) if length < size => {
            // What came is of the file all the same: the next attempt goes on.
            return Err(Fault::Network(format!("{length} of {size} bytes came")));
        }
        (Some(size), _) if length > size => format!("{length} bytes came, the hub names {size}"),
        (_, Some(expected)) => match sha256_of(part).map_err(Fault::Local)? {
            found if found == expected.to_ascii_lowercase() => return Ok(()),
            found => format!("its SHA-256 is {found}, the hub names {expected}"),
        },
        _ => return Ok(()),
    };
    fs::remove_file(part).map_err(local)?;
    Err(Fault::Wrong(reason))
}

/// `shard_00000.parquet.<beginning of its ETag>.part`, in the same folder.
fn part_of(path: &Path, remote: &Remote) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    if let Some(key) = remote.key() {
        name.push(format!(".{key}"));
    }
    name.push(".part");
    path.with_file_name(name)
}
