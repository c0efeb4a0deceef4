//! Writing problems in every form.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::builder::{GenericBinaryBuilder, GenericListBuilder, GenericStringBuilder, StructBuilder};
use arrow_array::{ArrayRef, OffsetSizeTrait, RecordBatch};
use arrow_schema::{DataType, Field, Fields};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dataset::{Dataset, DatasetConfig, DatasetError, ImageSource, Layout, Problem, Selection};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use proptest::prelude::*;
use serde_json::json;

/// A row as it is written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) text: String,
    pub(crate) images: Vec<Vec<u8>>,
    pub(crate) answer: String,
    pub(crate) teacher: Option<String>,
}

/// How a table is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) large_types: bool,
    pub(crate) compression: Compression,
    pub(crate) rows_per_group: usize,
    pub(crate) second_version: bool,
    pub(crate) dictionary: bool,
}

pub(crate) const PLAIN: Style = Style {
    large_types: false,
    compression: Compression::UNCOMPRESSED,
    rows_per_group: 1000,
    second_version: false,
    dictionary: true,
};

pub(crate) fn written() -> impl Strategy<Value = Written> {
    let words = || "[a-z\"\\\\\n\u{e9}\u{1f534} ]{0,12}".prop_map(|text| format!("{text}?"));
    let images = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4);
    (words(), images, words(), prop::option::of(words())).prop_map(|(text, images, answer, teacher)| Written {
        text: format!("{}{text}", "<image>".repeat(images.len())),
        images,
        answer,
        teacher,
    })
}

pub(crate) fn style() -> impl Strategy<Value = Style> {
    let compressions = vec![
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(Default::default()),
        Compression::LZ4_RAW,
    ];
    (any::<bool>(), prop::sample::select(compressions), 1_usize..50, any::<bool>(), any::<bool>()).prop_map(
        |(large_types, compression, rows_per_group, second_version, dictionary)| Style {
            large_types,
            compression,
            rows_per_group,
            second_version,
            dictionary,
        },
    )
}

/// A table with the columns `problem`, `images`, `answer` and `teacher`.
fn table<O: OffsetSizeTrait>(rows: &[Written]) -> RecordBatch {
    let (binary, text) = match O::IS_LARGE {
        true => (DataType::LargeBinary, DataType::LargeUtf8),
        false => (DataType::Binary, DataType::Utf8),
    };
    let fields = Fields::from(vec![Field::new("bytes", binary, true), Field::new("path", text, true)]);
    let inner = StructBuilder::new(
        fields,
        vec![Box::new(GenericBinaryBuilder::<O>::new()), Box::new(GenericStringBuilder::<O>::new())],
    );
    let mut images = GenericListBuilder::<O, _>::new(inner);
    let (mut problem, mut answer, mut teacher) =
        (GenericStringBuilder::<O>::new(), GenericStringBuilder::<O>::new(), GenericStringBuilder::<O>::new());
    for row in rows {
        problem.append_value(&row.text);
        answer.append_value(&row.answer);
        teacher.append_option(row.teacher.as_ref());
        for image in &row.images {
            let item = images.values();
            item.field_builder::<GenericBinaryBuilder<O>>(0).expect("bytes").append_value(image);
            item.field_builder::<GenericStringBuilder<O>>(1).expect("path").append_null();
            item.append(true);
        }
        images.append(true);
    }
    let columns: [(&str, ArrayRef); 4] = [
        ("problem", Arc::new(problem.finish())),
        ("images", Arc::new(images.finish())),
        ("answer", Arc::new(answer.finish())),
        ("teacher", Arc::new(teacher.finish())),
    ];
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

pub(crate) fn write_parquet(path: &Path, rows: &[Written], style: Style) {
    let table = if style.large_types { table::<i64>(rows) } else { table::<i32>(rows) };
    write_table(path, &table, style);
}

pub(crate) fn write_table(path: &Path, table: &RecordBatch, style: Style) {
    let version = if style.second_version { WriterVersion::PARQUET_2_0 } else { WriterVersion::PARQUET_1_0 };
    let properties = WriterProperties::builder()
        .set_compression(style.compression)
        .set_max_row_group_row_count(Some(style.rows_per_group))
        .set_writer_version(version)
        .set_dictionary_enabled(style.dictionary)
        .build();
    let file = File::create(path).expect("a writable folder");
    let mut writer = ArrowWriter::try_new(file, table.schema(), Some(properties)).expect("a writer");
    writer.write(table).expect("rows");
    writer.close().expect("a whole file");
}

/// The rows as JSON objects, images as data URIs.
pub(crate) fn objects(rows: &[Written]) -> Vec<serde_json::Value> {
    let uri = |bytes: &Vec<u8>| format!("data:image/png;base64,{}", STANDARD.encode(bytes));
    let object = |row: &Written| {
        json!({
            "problem": row.text,
            "images": row.images.iter().map(uri).collect::<Vec<_>>(),
            "answer": row.answer,
            "teacher": row.teacher,
        })
    };
    rows.iter().map(object).collect()
}

pub(crate) fn write_json_lines(path: &Path, rows: &[serde_json::Value]) {
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    fs::write(path, lines).expect("a writable folder");
}

/// Fails unless a problem says what was written.
#[track_caller]
pub(crate) fn assert_says(problem: &Problem, row: &Written) {
    assert_eq!(problem.problem, row.text);
    assert_eq!(problem.answer, row.answer);
    assert_eq!(problem.teacher, row.teacher);
    assert_eq!(problem.images, row.images.iter().cloned().map(ImageSource::Bytes).collect::<Vec<_>>());
}

pub(crate) fn open(files: impl Into<Selection>, layout: &str) -> Result<Dataset, DatasetError> {
    let layout: Layout = layout.parse()?;
    Dataset::open(&DatasetConfig { files: files.into(), layout, ..DatasetConfig::default() })
}

/// The only problem of a JSON object.
pub(crate) fn problem_of(row: &serde_json::Value, layout: &str) -> Result<Problem, DatasetError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("row.jsonl");
    write_json_lines(&path, std::slice::from_ref(row));
    open(path, layout)?.problem(0)
}

pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures"))
}
