//! What a data set costs in memory. A file of its own: it watches the whole process.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, ListBuilder};
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use dataset::{Dataset, DatasetConfig, Problem, Sampler};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use peak_alloc::PeakAlloc;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

/// Rows of a row group, and bytes of each row's image.
const ROWS: usize = 64;
const IMAGE: usize = 16 << 10;

/// A file of row groups of a megabyte each, which no compression makes smaller.
fn write(path: &Path, groups: usize) {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).set_dictionary_enabled(false);
    let mut writer = None;
    for _ in 0..groups {
        let mut images = ListBuilder::new(BinaryBuilder::new());
        for _ in 0..ROWS {
            let mut bytes = vec![0; IMAGE];
            random.fill(&mut bytes[..]);
            images.values().append_value(bytes);
            images.append(true);
        }
        let text = |text| -> ArrayRef { Arc::new(StringArray::from(vec![text; ROWS])) };
        let columns = [("problem", text("<image>p")), ("images", Arc::new(images.finish())), ("answer", text("a"))];
        let rows = RecordBatch::try_from_iter(columns).expect("columns of one length");
        let writer = writer.get_or_insert_with(|| {
            let file = File::create(path).expect("a writable folder");
            ArrowWriter::try_new(file, rows.schema(), Some(properties.clone().build())).expect("a writer")
        });
        writer.write(&rows).expect("rows");
        writer.flush().expect("a row group");
    }
    writer.expect("a row group").close().expect("a whole file");
}

/// Bytes at the peak of reading all problems, in order and shuffled, above what was in use before.
fn peak(path: &Path) -> usize {
    let before = PEAK.current_usage();
    PEAK.reset_peak_usage();
    let dataset = Dataset::open(&DatasetConfig { files: path.into(), ..DatasetConfig::default() }).expect("a file");
    let read = |index: usize| -> Problem { dataset.problem(index).expect("a good row") };
    let mut sampler = Sampler::new(1, dataset.len()).expect("some problems");
    let bytes = |problem: &Problem| format!("{:?}", problem.images) == format!("[Bytes({IMAGE} bytes)]");
    assert!((0..dataset.len()).all(|index| bytes(&read(index))));
    assert!(sampler.next_batch(100).into_iter().all(|index| bytes(&read(index))));
    PEAK.peak_usage() - before
}

/// Twenty times the row groups cost no more memory than their entries in the directory. The whole is what a row group holds a few
/// times over: its images are one page here, which is there as it was read, uncompressed and as rows, and then come the problems.
#[test]
fn a_row_group_bounds_the_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [few, many] = [2, 40].map(|groups| {
        let path = folder.path().join(format!("{groups}.parquet"));
        write(&path, groups);
        peak(&path)
    });
    let group = ROWS * IMAGE;
    assert!(many < few + group / 4, "2 row groups take {few} bytes, 40 take {many}");
    assert!(many < 4 * group, "{many} bytes for row groups of {group}");
}
