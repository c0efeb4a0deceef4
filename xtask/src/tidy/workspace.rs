//! The workspace as plain data: what cargo says about it, and its files.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::code::code_only;
use super::{Finding, Severity};
use crate::cargo;
use crate::error::TaskError;
use crate::metadata::{Metadata, Package};

/// What the rules look at.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    pub(super) root: PathBuf,
    pub(super) metadata: Metadata,
    /// The Rust files of the members, by path.
    pub(super) sources: BTreeMap<PathBuf, Source>,
    /// The members' `Cargo.toml`s, by path.
    pub(super) manifests: BTreeMap<PathBuf, String>,
}

/// A Rust file.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) text: String,
    /// The text with comments and literals blanked; see [`code_only`].
    pub(super) code: String,
}

impl Source {
    pub(super) fn new(text: String) -> Self {
        let code = code_only(&text);
        Self { text, code }
    }
}

impl Workspace {
    /// Reads the workspace that this program was built in.
    ///
    /// # Errors
    ///
    /// If cargo fails or a file cannot be read.
    pub(super) fn read() -> Result<Self, TaskError> {
        let mut workspace = Self {
            root: cargo::workspace_root().to_owned(),
            metadata: Metadata::with_dependencies()?,
            ..Self::default()
        };
        for package in &workspace.metadata.members {
            let manifest = package.manifest.clone();
            for path in rust_files(package.directory())? {
                let source = Source::new(read(&path)?);
                workspace.sources.insert(path, source);
            }
            let text = read(&manifest)?;
            workspace.manifests.insert(manifest, text);
        }
        Ok(workspace)
    }

    /// The Rust files of a package.
    pub(super) fn sources_of<'a>(&'a self, package: &'a Package) -> impl Iterator<Item = (&'a Path, &'a Source)> {
        self.sources
            .iter()
            .map(|(path, source)| (path.as_path(), source))
            .filter(|(path, _)| path.starts_with(package.directory()))
    }

    /// A violation in a file.
    pub(super) fn error(&self, file: &Path, line: usize, advice: String) -> Finding {
        Finding {
            file: file.strip_prefix(&self.root).unwrap_or(file).to_owned(),
            line,
            severity: Severity::Error,
            advice,
        }
    }

    /// A violation in a package's manifest, at the first line that starts with `key`.
    pub(super) fn manifest_error(&self, package: &Package, key: &str, advice: String) -> Finding {
        let text = self.manifests.get(&package.manifest).map_or("", String::as_str);
        let line = text.lines().position(|line| starts_with_key(line, key));
        self.error(&package.manifest, line.unwrap_or(0) + 1, advice)
    }
}

impl Package {
    /// The folder of the package's manifest.
    pub(super) fn directory(&self) -> &Path {
        self.manifest.parent().unwrap_or(&self.manifest)
    }
}

fn starts_with_key(line: &str, key: &str) -> bool {
    line.strip_prefix(key).is_some_and(|rest| rest.starts_with([' ', '.', '=']))
}

/// The Rust files below a folder, nested packages and hidden folders left out.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>, TaskError> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for entry in entries.map_err(|source| TaskError::Read { path: folder, source })? {
            let path = entry.path();
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if path.is_dir() && !hidden && !path.join("Cargo.toml").exists() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<String, TaskError> {
    fs::read_to_string(path).map_err(|source| TaskError::Read { path: path.to_owned(), source })
}
