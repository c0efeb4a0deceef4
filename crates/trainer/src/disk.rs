//! Writes that a killed process or a lost connection to the disk cannot leave half done.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::TrainError;

/// Bytes looked at together for the end of a line.
const WINDOW: u64 = 1 << 16;

/// Puts `text` in the place of a file: whoever looks, and whenever the process ends, finds the old text or the new one.
///
/// # Errors
/// If it cannot be written, synced or renamed; the old file is still there then.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), TrainError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let aside = path.with_file_name(format!(".{name}.writing"));
    let written =
        File::create(&aside).and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    let placed = written.and_then(|()| fs::rename(&aside, path));
    if let Err(source) = placed {
        // What is half written helps nobody, and on a full disk it is in the way.
        let _ = fs::remove_file(&aside);
        return Err(TrainError::file("write", path)(source));
    }
    path.parent().map_or(Ok(()), sync_folder)
}

/// Removes a folder and what is in it, if it is there.
///
/// # Errors
/// If it is there and cannot be removed.
pub(crate) fn remove_if_there(folder: &Path) -> Result<(), TrainError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(TrainError::file("remove", folder)(error)),
        _ => Ok(()),
    }
}

/// Syncs every file below a folder, then the folders.
///
/// The system is asked to forget what it remembers of the files, so that they are read from the disk when they are read again.
///
/// # Errors
/// If one of them cannot be synced.
pub(crate) fn sync_all(folder: &Path) -> Result<(), TrainError> {
    for entry in fs::read_dir(folder).map_err(TrainError::file("list", folder))? {
        let path = entry.map_err(TrainError::file("list", folder))?.path();
        if path.is_dir() {
            sync_all(&path)?;
        } else {
            let file = File::open(&path).map_err(TrainError::file("open", &path))?;
            file.sync_all().map_err(TrainError::file("sync", &path))?;
            forget(&file);
        }
    }
    sync_folder(folder)
}

/// Syncs the names in a folder.
///
/// # Errors
/// If it cannot be opened or synced.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), TrainError> {
    // Only Unix lets a folder be opened and synced; elsewhere the rename alone has to do.
    if cfg!(unix) {
        let handle = File::open(folder).map_err(TrainError::file("open", folder))?;
        handle.sync_all().map_err(TrainError::file("sync", folder))?;
    }
    Ok(())
}

/// Lets the system drop a synced file from its memory. A wish, so that it may be refused.
#[cfg(target_os = "linux")]
fn forget(file: &File) {
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

#[cfg(not(target_os = "linux"))]
fn forget(_file: &File) {}

/// Cuts off a last line without an end, as a process leaves one that is killed while it writes or meets a full disk. What was
/// half said in it is said again when the step is taken again.
///
/// # Errors
/// If the file cannot be read or cut.
pub(crate) fn cut_partial_line(path: &Path) -> Result<(), TrainError> {
    let cut = || -> io::Result<u64> {
        let mut file = match fs::OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            opened => opened?,
        };
        let length = file.metadata()?.len();
        let whole = end_of_last_line(&mut file, length)?;
        if whole < length {
            file.set_len(whole)?;
        }
        Ok(length - whole)
    };
    let cut = cut().map_err(TrainError::file("mend", path))?;
    if cut > 0 {
        tracing::warn!("{}: a last line of {cut} bytes was not written to its end and is cut off", path.display());
    }
    Ok(())
}

/// Length of a file up to the end of its last whole line.
fn end_of_last_line(file: &mut File, length: u64) -> io::Result<u64> {
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(WINDOW);
        let mut window = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        file.take(end - start).read_to_end(&mut window)?;
        if let Some(at) = window.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + at as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is behind the last end of a line goes, and nothing else.
    #[test]
    fn half_a_line_is_cut_off() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("lines");
        cut_partial_line(&path).expect("a file that is not there has no lines");
        assert!(!path.exists());
        let long = "x".repeat(3 * WINDOW as usize);
        for (text, kept) in [
            (String::new(), String::new()),
            ("a\nb\n".to_owned(), "a\nb\n".to_owned()),
            ("a\nb".to_owned(), "a\n".to_owned()),
            ("a".to_owned(), String::new()),
            (format!("a\n{long}"), "a\n".to_owned()),
            (format!("{long}\n{long}\nb"), format!("{long}\n{long}\n")),
            (long, String::new()),
        ] {
            fs::write(&path, &text).expect("a writable folder");
            cut_partial_line(&path).expect("a file");
            assert!(fs::read_to_string(&path).expect("text") == kept, "{} bytes", text.len());
        }
    }

    /// A file that cannot be written stays as it was, and nothing is left beside it.
    #[test]
    fn files_are_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("tracker.json");
        replace(&path, "one").expect("a writable folder");
        replace(&path, "two").expect("a writable folder");
        assert_eq!(fs::read_to_string(&path).expect("text"), "two");
        let taken = folder.path().join("folder");
        fs::create_dir(&taken).expect("a writable folder");
        let error = replace(&taken, "text").expect_err("a folder is in the way").to_string();
        assert!(error.contains("folder"), "{error}");
        let names: Vec<_> =
            fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry")).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }
}
