//! The column `text` of a Parquet file, as karpathy's shards have it.

use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::error::PrepareError;

/// The column's name.
const COLUMN: &str = "text";

/// Documents in memory together: a row group of karpathy's shards.
const TOGETHER: usize = 1024;

/// Reads a file from its beginning, some documents at a time.
pub(super) struct Texts {
    path: PathBuf,
    file: SerializedFileReader<File>,
    column: usize,
    /// The row group that comes after the current one.
    group: usize,
    current: Option<ColumnReaderImpl<ByteArrayType>>,
}

impl Texts {
    pub(super) fn open(path: &Path) -> Result<Self, PrepareError> {
        let bytes = File::open(path).map_err(PrepareError::read(path))?;
        let file = SerializedFileReader::new(bytes).map_err(|error| bad(path, &error))?;
        let columns = file.metadata().file_metadata().schema_descr().columns();
        let column = columns
            .iter()
            .position(|column| column.path().parts() == [COLUMN])
            .ok_or_else(|| bad(path, &format!("it has no column `{COLUMN}`")))?;
        Ok(Self { path: path.to_path_buf(), file, column, group: 0, current: None })
    }

    /// The next documents; empty at the end of the file.
    fn read(&mut self) -> Result<Vec<ByteArray>, ParquetError> {
        let mut texts = Vec::new();
        while texts.is_empty() {
            if self.current.is_none() {
                if self.group == self.file.num_row_groups() {
                    break;
                }
                let group = self.file.get_row_group(self.group)?;
                self.group += 1;
                let ColumnReader::ByteArrayColumnReader(column) = group.get_column_reader(self.column)?
                else {
                    return Err(ParquetError::General(format!("its column `{COLUMN}` is not text")));
                };
                self.current = Some(column);
            }
            // A missing text has a level and no value.
            let mut levels = Vec::new();
            if let Some(column) = &mut self.current
                && column.read_records(TOGETHER, Some(&mut levels), None, &mut texts)?.0 == 0
            {
                self.current = None;
            }
        }
        Ok(texts)
    }
}

impl Iterator for Texts {
    type Item = Result<Vec<String>, PrepareError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.read() {
            Ok(texts) if texts.is_empty() => None,
            Ok(texts) => {
                Some(Ok(texts.iter().map(|text| String::from_utf8_lossy(text.data()).into_owned()).collect()))
            }
            Err(error) => {
                // Nothing more can be read after it.
                (self.current, self.group) = (None, self.file.num_row_groups());
                Some(Err(bad(&self.path, &error)))
            }
        }
    }
}

fn bad(path: &Path, reason: &dyn std::fmt::Display) -> PrepareError {
    PrepareError::BadParquet { path: path.to_path_buf(), reason: reason.to_string() }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    /// A file of row groups of texts, some of which may be missing.
    pub(crate) fn write(path: &Path, groups: &[&[Option<&str>]], compression: Compression) {
        write_column(path, COLUMN, groups, compression);
    }

    /// A file of these texts.
    pub(crate) fn write_texts(path: &Path, texts: &[String]) {
        let texts: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).collect();
        write(path, &[&texts], Compression::SNAPPY);
    }

    fn write_column(path: &Path, name: &str, groups: &[&[Option<&str>]], compression: Compression) {
        let schema = format!("message schema {{ optional int64 id; optional binary {name} (UTF8); }}");
        let schema = Arc::new(parse_message_type(&schema).unwrap());
        let properties = WriterProperties::builder().set_compression(compression).build();
        let file = File::create(path).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
        for texts in groups {
            let mut group = writer.next_row_group().unwrap();
            let levels: Vec<i16> = texts.iter().map(|text| i16::from(text.is_some())).collect();
            let mut column = group.next_column().unwrap().unwrap();
            let ids: Vec<i64> = (0..texts.len() as i64).collect();
            let all = vec![1; texts.len()];
            column.typed::<parquet::data_type::Int64Type>().write_batch(&ids, Some(&all), None).unwrap();
            column.close().unwrap();
            let mut column = group.next_column().unwrap().unwrap();
            let texts: Vec<ByteArray> = texts.iter().flatten().map(|&text| ByteArray::from(text)).collect();
            column.typed::<ByteArrayType>().write_batch(&texts, Some(&levels), None).unwrap();
            column.close().unwrap();
            group.close().unwrap();
        }
        writer.close().unwrap();
    }

    #[test]
    fn texts_come_in_order_and_missing_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let many: Vec<String> = (0..TOGETHER + 5).map(|n| format!("text {n}")).collect();
        let group: Vec<Option<&str>> = many.iter().map(|text| Some(text.as_str())).collect();
        for compression in
            [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default())]
        {
            write(&path, &[&[None], &[Some("one"), None, Some("two")], &[], &group], compression);
            let batches: Vec<Vec<String>> = Texts::open(&path).unwrap().map(Result::unwrap).collect();
            assert_eq!(batches[0], ["one", "two"]);
            assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [2, TOGETHER, 5]);
            assert_eq!(batches[1..].concat(), many);
        }
    }

    #[test]
    fn what_is_not_parquet_or_has_no_text_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        std::fs::write(&path, "no parquet").unwrap();
        let error = Texts::open(&path).err().unwrap();
        assert!(error.to_string().contains("a.parquet"), "{error}");

        write(&path, &[&[Some("a text that is long enough to be damaged")]], Compression::UNCOMPRESSED);
        let mut damaged = std::fs::read(&path).unwrap();
        damaged[4..60].fill(0xff);
        std::fs::write(&path, &damaged).unwrap();
        let mut texts = Texts::open(&path).unwrap();
        let mut count = 0;
        for result in texts.by_ref() {
            count += 1;
            assert!(count == 1 && result.is_err(), "an error once, then the end");
        }

        write_column(&path, "other", &[&[Some("text")]], Compression::UNCOMPRESSED);
        let error = Texts::open(&path).err().unwrap();
        assert!(error.to_string().ends_with("it has no column `text`"), "{error}");
    }
}
