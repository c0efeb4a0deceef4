//! Files that are not what they say: errors, never a panic.

use std::fs;
use std::path::Path;

use dataset::{Dataset, DatasetConfig, DatasetError};
use proptest::prelude::*;

use crate::tables::{PLAIN, Style, fixtures, objects, open, style, write_json_lines, write_parquet, written};

/// Reads whatever can be read of a file, and returns how many problems that are.
fn read(path: &Path) -> usize {
    let config = DatasetConfig { files: path.into(), ..DatasetConfig::default() };
    match Dataset::open(&config) {
        Ok(dataset) => (0..dataset.len().min(50)).filter(|&index| dataset.problem(index).is_ok()).count(),
        Err(error) => {
            assert!(error.to_string().contains("rows."), "{error}");
            0
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 2, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_errors(bytes in prop::collection::vec(any::<u8>(), 0..300), format in 0_usize..4) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(["rows.parquet", "rows.jsonl", "rows.json", "rows.ndjson"][format]);
        let framed = [b"PAR1".as_slice(), &bytes, b"PAR1"].concat();
        for bytes in [&bytes, &framed] {
            fs::write(&path, bytes).expect("a writable folder");
            prop_assert_eq!(read(&path), 0);
        }
    }

    #[test]
    fn truncated_files_are_errors(
        rows in prop::collection::vec(written(), 1..20),
        style in style(),
        format in 0_usize..3,
        cut in any::<prop::sample::Index>(),
    ) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(["rows.parquet", "rows.jsonl", "rows.json"][format]);
        match format {
            0 => write_parquet(&path, &rows, style),
            1 => write_json_lines(&path, &objects(&rows)),
            _ => fs::write(&path, serde_json::to_string(&objects(&rows)).expect("JSON")).expect("a writable folder"),
        }
        let bytes = fs::read(&path).expect("what was written");
        fs::write(&path, &bytes[..cut.index(bytes.len())]).expect("a writable folder");
        let found = read(&path);
        // Lines before the cut are whole; tables and lists end with what makes them readable.
        prop_assert!(found <= if format == 1 { rows.len() } else { 0 }, "{found} problems");
    }

    /// Some bytes changed anywhere in a file: what is read may be wrong, for nothing in it says so, but reading ends.
    #[test]
    fn damaged_files_do_no_harm(
        rows in prop::collection::vec(written(), 1..20),
        style in style(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("rows.parquet");
        write_parquet(&path, &rows, style);
        let mut bytes = fs::read(&path).expect("what was written");
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        fs::write(&path, bytes).expect("a writable folder");
        read(&path);
    }
}

/// A damaged page costs its own rows, and they are named.
#[test]
fn the_rows_of_other_row_groups_survive() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("rows.parquet");
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let rows: Vec<_> = (0..30)
        .map(|_| proptest::strategy::ValueTree::current(&written().new_tree(&mut runner).expect("a row")))
        .collect();
    let style = Style { rows_per_group: 10, compression: parquet::basic::Compression::SNAPPY, ..PLAIN };
    write_parquet(&path, &rows, style);
    let mut bytes = fs::read(&path).expect("what was written");
    bytes[4..60].fill(0xff);
    fs::write(&path, bytes).expect("a writable folder");
    let dataset = open(path, "standard").expect("the directory is at the end");
    for (index, row) in rows.iter().enumerate() {
        match dataset.problem(index) {
            Ok(problem) => assert_eq!(problem.answer, row.answer),
            Err(error) => {
                assert!(index < 10 && error.is_of_row(), "{error}");
                assert!(matches!(&error, DatasetError::ParquetRow { .. }), "{error}");
                assert!(error.to_string().contains(&format!("rows.parquet[{index}]: ")), "{error}");
            }
        }
    }
    assert!(dataset.problem(0).is_err());
}

#[test]
fn lists_are_whole_or_errors() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("rows.json");
    let row = r#"{"problem": "p", "answer": "a"}"#;
    for (text, expected) in [
        (format!("[{row}"), "no comma after element 0"),
        (format!("[{row}, "), "it ends too early"),
        (format!("[{row} {row}]"), "no comma after element 0"),
        (format!("[{row},]"), "element 1: "),
        (format!("[{row}] {row}"), "more after the list"),
        (format!("[{row}, {{\"problem\": ]"), "element 1: "),
        ("[]".to_owned(), "holds no problems"),
        (" [ ] ".to_owned(), "holds no problems"),
    ] {
        fs::write(&path, &text).expect("a writable folder");
        let error = open(path.as_path(), "standard").expect_err(&text).to_string();
        assert!(error.contains("rows.json") && error.contains(expected), "{text}: {error}");
    }
    fs::write(&path, format!("[{row}, 5]")).expect("a writable folder");
    let error = open(path.as_path(), "standard").expect("a list").problem(1).expect_err("a number").to_string();
    assert!(error.contains("rows.json[1]: not a problem in JSON: 5"), "{error}");
    // Lines under the name of a list.
    fs::write(&path, format!("{row}\n{row}\n")).expect("a writable folder");
    assert_eq!(open(path.as_path(), "standard").expect("lines").len(), 2);
}

#[test]
fn other_kinds_of_files_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["rows.csv", "rows", "rows.parquet.gz"] {
        let path = folder.path().join(name);
        fs::write(&path, "").expect("a writable folder");
        let error = open(path, "standard").expect_err(name);
        assert!(matches!(error, DatasetError::UnknownFormat { .. }), "{error}");
    }
    let upper = folder.path().join("ROWS.PARQUET");
    fs::copy(fixtures().join("parquet/geometry3k_layout.parquet"), &upper).expect("a copy");
    assert_eq!(open(upper, "standard").expect("by its extension").len(), 12);
    // A folder of the name of a table is a folder.
    let folder = folder.path().join("folder.parquet");
    fs::create_dir(&folder).expect("a writable folder");
    assert!(matches!(open(folder, "standard"), Err(DatasetError::NoData { .. })));
}
