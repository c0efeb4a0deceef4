//! Every file is compiled: a test file that no target reaches passes whatever it says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::Finding;
use super::code::{is_identifier, without_tests};
use super::workspace::{Source, Workspace};
use crate::metadata::{Package, Target};

/// Every Rust file of a package is the root of a target or declared by `mod` in a file that is compiled.
pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &workspace.metadata.members {
        let reached = reachable(&workspace.sources, &package.targets, Tests::Included);
        for (path, _) in workspace.sources_of(package) {
            if !reached.contains(path) {
                findings.push(workspace.error(path, 1, advice(package, path)));
            }
        }
    }
    findings
}

fn advice(package: &Package, path: &Path) -> String {
    if path.parent() == Some(&package.directory().join("tests")) {
        "no test target compiles this file; list it as a [[test]] in its package's Cargo.toml".to_owned()
    } else {
        "no target reaches this file; declare it with `mod` or delete it".to_owned()
    }
}

/// Whether modules behind `#[cfg(test)]` count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tests {
    Included,
    Excluded,
}

/// The files that are compiled when `targets` are.
pub(super) fn reachable<'a>(
    sources: &BTreeMap<PathBuf, Source>,
    targets: impl IntoIterator<Item = &'a Target>,
    tests: Tests,
) -> BTreeSet<PathBuf> {
    let mut reached = BTreeSet::new();
    for target in targets {
        let mut queue = vec![(target.source.clone(), true)];
        while let Some((file, is_root)) = queue.pop() {
            let Some(source) = sources.get(&file) else {
                continue;
            };
            let modules = match tests {
                Tests::Included => declared_modules(&source.code, &source.text),
                Tests::Excluded => declared_modules(&without_tests(&source.code), &source.text),
            };
            for module in modules {
                let candidates = module.candidates(&file, is_root);
                queue.extend(candidates.into_iter().map(|path| (path, false)));
            }
            reached.insert(file);
        }
    }
    reached
}

/// A declaration `mod name;`.
struct Module {
    name: String,
    /// The modules around the declaration within its file, as folders.
    around: PathBuf,
    /// The value of its attribute `#[path = "…"]`.
    path: Option<String>,
}

impl Module {
    /// The files that the declaration can mean when it stands in `file`.
    fn candidates(&self, file: &Path, is_root: bool) -> Vec<PathBuf> {
        let owns_its_folder = is_root || file.file_stem().is_some_and(|stem| stem == "mod");
        let is_sibling = owns_its_folder || (self.path.is_some() && self.around == Path::new(""));
        let base = if is_sibling { file.with_file_name("") } else { file.with_extension("") };
        let folder = base.join(&self.around);
        match &self.path {
            Some(path) => vec![without_parents(&folder.join(path))],
            None => vec![folder.join(format!("{}.rs", self.name)), folder.join(&self.name).join("mod.rs")],
        }
    }
}

/// The file modules that a file declares, those inside of inline modules too. Attributes are read from its `text`.
fn declared_modules(code: &str, text: &str) -> Vec<Module> {
    let mut modules = Vec::new();
    // The blocks around the current position: a folder for a module, an empty path for any other block.
    let mut blocks: Vec<PathBuf> = Vec::new();
    let mut item_start = 0;
    for (at, byte) in code.bytes().enumerate() {
        if !matches!(byte, b';' | b'{' | b'}') {
            continue;
        }
        let item = &code[item_start..at];
        match (byte, module_name(item)) {
            (b'{', name) => blocks.push(name.unwrap_or_default().into()),
            (b'}', _) => drop(blocks.pop()),
            (_, Some(name)) => modules.push(Module {
                name: name.to_owned(),
                around: blocks.iter().collect(),
                path: path_attribute(item, &text[item_start..at]),
            }),
            (_, None) => {}
        }
        item_start = at + 1;
    }
    modules
}

/// The name of the module that an item's code declares, if the item is a module.
fn module_name(item: &str) -> Option<&str> {
    let (before, name) = item.trim_end().rsplit_once(char::is_whitespace)?;
    let before = before.trim_end();
    let keyword = before.rsplit(|character| !is_identifier(character)).next();
    (keyword == Some("mod") && name.chars().all(is_identifier)).then_some(name)
}

/// The value of an item's attribute `#[path = "…"]`, given its code and its text.
fn path_attribute(code: &str, text: &str) -> Option<String> {
    let attribute = code.find("#[path")?;
    text[attribute..].split('"').nth(1).map(str::to_owned)
}

/// The path with every `folder/..` removed.
fn without_parents(path: &Path) -> PathBuf {
    let mut simple = PathBuf::new();
    for component in path.components() {
        if component == Component::ParentDir {
            simple.pop();
        } else {
            simple.push(component);
        }
    }
    simple
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::TargetKind;

    fn workspace(files: &[(&str, &str)], targets: &[&str]) -> Workspace {
        let target = |path: &&str| Target { name: String::new(), kind: TargetKind::Product, source: path.into() };
        let mut workspace = Workspace::default();
        workspace.metadata.members = vec![Package {
            manifest: "/w/a/Cargo.toml".into(),
            targets: targets.iter().map(target).collect(),
            ..Package::default()
        }];
        let source = |(path, text): &(&str, &str)| (path.into(), Source::new((*text).to_owned()));
        workspace.sources = files.iter().map(source).collect();
        workspace
    }

    #[test]
    fn follows_every_form_of_declaration() {
        let files = [
            ("/w/a/src/lib.rs", "pub mod b;\nmod c {\n fn f() { g(); }\n mod d;\n}\n#[path = \"../x.rs\"] mod e;"),
            ("/w/a/src/b.rs", "#[cfg(test)]\nmod tests;\nuse mod_f::{h};"),
            ("/w/a/src/b/tests.rs", ""),
            ("/w/a/src/c/d/mod.rs", "mod i;"),
            ("/w/a/src/c/d/i.rs", ""),
            ("/w/a/x.rs", ""),
        ];
        assert_eq!(check(&workspace(&files, &["/w/a/src/lib.rs"])), []);
    }

    #[test]
    fn an_orphan_is_found() {
        let files = [
            ("/w/a/src/lib.rs", "// mod b;\nfn f() { \"mod b;\" }"),
            ("/w/a/src/b.rs", ""),
            ("/w/a/tests/laws.rs", ""),
        ];
        let findings = check(&workspace(&files, &["/w/a/src/lib.rs"]));
        assert_eq!(findings.len(), 2);
        assert!(findings[0].advice.contains("declare it with `mod`"));
        assert!(findings[1].advice.contains("[[test]]"));
    }

    #[test]
    fn test_modules_can_be_left_out() {
        let files =
            [("/w/a/src/lib.rs", "mod b;\n#[cfg(test)]\nmod tests;"), ("/w/a/src/b.rs", ""), ("/w/a/src/tests.rs", "")];
        let workspace = workspace(&files, &["/w/a/src/lib.rs"]);
        let targets = &workspace.metadata.members[0].targets;
        assert_eq!(reachable(&workspace.sources, targets, Tests::Included).len(), 3);
        assert_eq!(reachable(&workspace.sources, targets, Tests::Excluded).len(), 2);
    }
}
