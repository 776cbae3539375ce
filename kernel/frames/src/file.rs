//! Frames as files that any tool opens.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::Path,
};

use polars::prelude::{AnyValue, DataFrame, PolarsResult};
use polars_io::{
    SerReader, SerWriter,
    ipc::{IpcReader, IpcWriter},
    parquet::write::ParquetWriter,
};

use crate::FramesError;

/// What kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated text with a line of names; nested values as JSON-like text.
    Csv,
    /// Parquet, compressed.
    Parquet,
    /// An Arrow IPC file, not compressed: the quickest to read.
    Arrow,
}

impl Format {
    /// The kind that a file's name ends with.
    pub fn of(path: &Path) -> Option<Self> {
        Self::named(path.extension()?.to_str()?)
    }

    /// The kind that people call so.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "csv" => Some(Self::Csv),
            "parquet" | "pq" => Some(Self::Parquet),
            "arrow" | "feather" | "ipc" => Some(Self::Arrow),
            _ => None,
        }
    }

    /// How the name of such a file ends.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }

    /// Writes a frame to a file, whole or not at all.
    pub fn write(self, frame: &DataFrame, path: &Path) -> Result<(), FramesError> {
        let failed = |source| FramesError::Write { path: path.to_owned(), source };
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(format!(".{}.new", std::process::id()));
        let written = File::create(&unfinished).and_then(|file| {
            let mut file = BufWriter::new(file);
            self.write_to(frame, &mut file)?;
            file.flush()
        });
        written.and_then(|()| fs::rename(&unfinished, path)).map_err(|error| {
            let _ = fs::remove_file(&unfinished);
            failed(error)
        })
    }

    fn write_to(self, frame: &DataFrame, to: &mut impl Write) -> io::Result<()> {
        let mut frame = frame.clone();
        match self {
            Self::Csv => csv(&frame, to),
            Self::Parquet => ParquetWriter::new(to).finish(&mut frame).map(drop).map_err(io::Error::other),
            Self::Arrow => IpcWriter::new(to).finish(&mut frame).map_err(io::Error::other),
        }
    }
}

/// The frame in an Arrow IPC file.
pub fn read_arrow(path: &Path) -> PolarsResult<DataFrame> {
    IpcReader::new(File::open(path)?).finish()
}

fn csv(frame: &DataFrame, to: &mut impl Write) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(to);
    csv.write_record(frame.get_column_names().into_iter().map(|name| name.as_str()))?;
    for row in 0..frame.height() {
        for column in frame.columns() {
            match column.get(row).map_err(io::Error::other)? {
                AnyValue::Null => csv.write_field(""),
                AnyValue::String(text) => csv.write_field(text),
                value => csv.write_field(value.to_string()),
            }?;
        }
        csv.write_record(None::<&[u8]>)?;
    }
    csv.flush()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use polars::df;

    use super::*;

    #[test]
    fn every_format_is_written_whole() {
        let folder = tempfile::tempdir().unwrap();
        let frame = df!("a" => [Some(1.5), None], "b" => ["x, \"y\"", "é"]).unwrap();
        for name in ["f.csv", "f.parquet", "f.arrow"] {
            let path = folder.path().join(name);
            Format::of(&path).unwrap().write(&frame, &path).unwrap();
        }
        assert_eq!(
            fs::read_to_string(folder.path().join("f.csv")).unwrap(),
            "a,b\n1.5,\"x, \"\"y\"\"\"\n,é\n"
        );
        assert!(read_arrow(&folder.path().join("f.arrow")).unwrap().equals_missing(&frame));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
        assert_eq!(Format::of(Path::new("results.tsv")), None);
        let error = Format::Csv.write(&frame, &folder.path().join("no/f.csv")).unwrap_err();
        assert!(error.to_string().contains("no/f.csv"), "{error}");
    }
}
