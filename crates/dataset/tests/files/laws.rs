//! Whatever the format, the problems are the same; whatever the order, a problem is the same.

use dataset::{Dataset, DatasetError, Problem, Selection};
use proptest::prelude::*;

use crate::tables::{Written, assert_says, objects, open, style, write_json_lines, write_parquet, written};

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases / 4, ..ProptestConfig::default() })]

    #[test]
    fn formats_say_the_same(rows in prop::collection::vec(written(), 1..60), style in style()) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        write_parquet(&path("rows.parquet"), &rows, style);
        write_json_lines(&path("rows.jsonl"), &objects(&rows));
        let list = serde_json::to_string_pretty(&objects(&rows)).expect("JSON");
        std::fs::write(path("rows.json"), format!("\u{feff}\n{list} \n")).expect("a writable folder");
        for name in ["rows.parquet", "rows.jsonl", "rows.json"] {
            let dataset = open(path(name), "standard").expect(name);
            prop_assert_eq!(dataset.len(), rows.len());
            for (index, row) in rows.iter().enumerate() {
                let problem = dataset.problem(index).expect(name);
                assert_says(&problem, row);
                let place = match name {
                    "rows.jsonl" => format!("rows.jsonl:{}", index + 1),
                    _ => format!("{name}[{index}]"),
                };
                prop_assert!(problem.place.to_string().ends_with(&place));
                prop_assert_eq!(problem.place, dataset.place(index).expect("a place"));
            }
        }
    }

    /// Several files one after the other are one data set, and the order of visits changes nothing.
    #[test]
    fn the_order_of_visits_does_not_matter(
        parts in prop::collection::vec((prop::collection::vec(written(), 0..40), style(), 0_usize..3), 1..4),
        visits in prop::collection::vec(any::<prop::sample::Index>(), 1..60),
    ) {
        prop_assume!(parts.iter().any(|(rows, ..)| !rows.is_empty()));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut files = Vec::new();
        for (number, (rows, style, format)) in parts.iter().enumerate() {
            let path = folder.path().join(format!("{number}.{}", ["parquet", "jsonl", "json"][*format]));
            match format {
                0 => write_parquet(&path, rows, *style),
                1 => write_json_lines(&path, &objects(rows)),
                _ => std::fs::write(&path, serde_json::to_string(&objects(rows)).expect("JSON")).expect("a file"),
            }
            files.push(path.display().to_string());
        }
        let rows: Vec<&Written> = parts.iter().flat_map(|(rows, ..)| rows).collect();
        let dataset = open(Selection::from_iter(files), "standard").expect("the files");
        prop_assert_eq!(dataset.len(), rows.len());
        let in_order: Vec<Problem> = dataset.problems().collect::<Result<_, _>>().expect("good rows");
        let memory = Dataset::of(in_order.clone());
        prop_assert_eq!(memory.len(), rows.len());
        for visit in visits {
            let index = visit.index(rows.len());
            let problem = dataset.problem(index).expect("a good row");
            assert_says(&problem, rows[index]);
            prop_assert_eq!(&problem, &in_order[index]);
            prop_assert_eq!(&memory.problem(index).expect("in memory"), &in_order[index]);
            prop_assert_eq!(memory.place(index).expect("in memory"), problem.place);
        }
        let past = dataset.problem(rows.len()).expect_err("past the end");
        prop_assert!(matches!(past, DatasetError::Index { .. }), "{}", past);
        prop_assert!(!past.is_of_row());
    }
}
