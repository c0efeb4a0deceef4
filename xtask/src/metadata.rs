//! What cargo knows about the workspace, read from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::cargo;
use crate::error::TaskError;

/// The workspace's packages and everything they depend on.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// The workspace's own packages.
    pub(crate) members: Vec<Package>,
    /// What each package links or builds with on this platform, tests left out; empty without dependencies.
    pub(crate) graph: BTreeMap<PackageId, Node>,
}

/// Cargo's identifier of a package.
pub(crate) type PackageId = String;

/// A package in the dependency graph.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// The package's name.
    pub(crate) name: String,
    /// The packages it depends on, development dependencies left out.
    pub(crate) dependencies: Vec<PackageId>,
}

/// A package of the workspace.
#[derive(Debug, Default)]
pub(crate) struct Package {
    pub(crate) id: PackageId,
    pub(crate) name: String,
    /// Path of its `Cargo.toml`.
    pub(crate) manifest: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    /// Its cargo features and what each turns on.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) targets: Vec<Target>,
}

/// A line of a `[dependencies]` table.
#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Whether it serves tests, examples and benchmarks only.
    pub(crate) development: bool,
    pub(crate) features: Vec<String>,
}

/// Something cargo compiles on its own: a library, a binary, an integration test, …
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kind: TargetKind,
    /// Its root file.
    pub(crate) source: PathBuf,
}

/// What a target is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetKind {
    /// What users run or link: libraries, procedural macros and binaries.
    Product,
    /// Integration tests.
    Test,
    /// Examples, benchmarks and build scripts.
    Other,
}

impl Metadata {
    /// Reads the workspace's packages, and the packages they depend on as well.
    ///
    /// # Errors
    ///
    /// If cargo or rustc fails, or if cargo's answer has not the documented form.
    pub(crate) fn with_dependencies() -> Result<Self, TaskError> {
        let host = cargo::capture(Command::new("rustc").args(["--print", "host-tuple"]))?;
        let host = String::from_utf8_lossy(&host);
        Self::read(&["--filter-platform", host.trim()])
    }

    /// Reads the workspace's packages alone.
    ///
    /// # Errors
    ///
    /// As for [`Metadata::with_dependencies`].
    pub(crate) fn of_members() -> Result<Self, TaskError> {
        Self::read(&["--no-deps"])
    }

    fn read(arguments: &[&str]) -> Result<Self, TaskError> {
        let mut command = cargo::cargo(["metadata", "--format-version", "1"]);
        let json = cargo::capture(command.args(arguments))?;
        let json = serde_json::from_slice(&json).map_err(|source| TaskError::Metadata { source })?;
        Self::parse(&json)
    }

    fn parse(json: &Value) -> Result<Self, TaskError> {
        let members: BTreeSet<_> = strings(json, "workspace_members")?.into_iter().collect();
        let mut metadata = Self::default();
        let mut names = BTreeMap::new();
        for package in array(json, "packages")? {
            let id = string(package, "id")?;
            names.insert(id.clone(), string(package, "name")?);
            if members.contains(&id) {
                metadata.members.push(parse_package(package)?);
            }
        }
        if let Some(resolve) = json.get("resolve").filter(|resolve| !resolve.is_null()) {
            for node in array(resolve, "nodes")? {
                let id = string(node, "id")?;
                let name = names.get(&id).cloned().unwrap_or_default();
                let dependencies = parse_links(node)?;
                metadata.graph.insert(id, Node { name, dependencies });
            }
        }
        Ok(metadata)
    }
}

/// The names of the workspace's integration tests that satisfy `is_wanted`, sorted.
///
/// # Errors
///
/// [`TaskError::NoSuchTests`] with `description` if there are none; else as for [`Metadata::with_dependencies`].
pub(crate) fn integration_tests(
    description: &'static str,
    is_wanted: fn(&str) -> bool,
) -> Result<BTreeSet<String>, TaskError> {
    let names: BTreeSet<_> = Metadata::of_members()?
        .members
        .into_iter()
        .flat_map(|package| package.targets)
        .filter(|target| target.kind == TargetKind::Test && is_wanted(&target.name))
        .map(|target| target.name)
        .collect();
    if names.is_empty() {
        return Err(TaskError::NoSuchTests { wanted: description });
    }
    Ok(names)
}

fn parse_package(json: &Value) -> Result<Package, TaskError> {
    let features = json["features"].as_object().ok_or_else(|| missing("features"))?;
    Ok(Package {
        id: string(json, "id")?,
        name: string(json, "name")?,
        manifest: string(json, "manifest_path")?.into(),
        dependencies: parse_all(json, "dependencies", |dependency| {
            Ok(Dependency {
                name: string(dependency, "name")?,
                development: dependency["kind"] == "dev",
                features: strings(dependency, "features")?,
            })
        })?,
        features: features
            .keys()
            .map(|name| Ok((name.clone(), strings(&json["features"], name)?)))
            .collect::<Result<_, _>>()?,
        targets: parse_all(json, "targets", |target| {
            Ok(Target {
                name: string(target, "name")?,
                kind: target_kind(&strings(target, "kind")?),
                source: string(target, "src_path")?.into(),
            })
        })?,
    })
}

fn target_kind(kinds: &[String]) -> TargetKind {
    let is = |kind: &str| kinds.iter().any(|candidate| candidate == kind);
    if is("test") {
        TargetKind::Test
    } else if is("bench") || is("example") || is("custom-build") {
        TargetKind::Other
    } else {
        TargetKind::Product
    }
}

/// The packages that a node of the graph depends on other than for development alone.
fn parse_links(node: &Value) -> Result<Vec<PackageId>, TaskError> {
    let mut links = Vec::new();
    for link in array(node, "deps")? {
        let kinds = array(link, "dep_kinds")?;
        if kinds.iter().any(|kind| kind["kind"] != "dev") {
            links.push(string(link, "pkg")?);
        }
    }
    Ok(links)
}

fn parse_all<T>(
    json: &Value,
    field: &'static str,
    parse: impl Fn(&Value) -> Result<T, TaskError>,
) -> Result<Vec<T>, TaskError> {
    array(json, field)?.iter().map(parse).collect()
}

fn array<'a>(json: &'a Value, field: &str) -> Result<&'a Vec<Value>, TaskError> {
    json[field].as_array().ok_or_else(|| missing(field))
}

fn string(json: &Value, field: &str) -> Result<String, TaskError> {
    as_string(&json[field], field)
}

fn strings(json: &Value, field: &str) -> Result<Vec<String>, TaskError> {
    array(json, field)?.iter().map(|item| as_string(item, field)).collect()
}

fn as_string(json: &Value, field: &str) -> Result<String, TaskError> {
    let text = json.as_str().ok_or_else(|| missing(field))?;
    Ok(text.to_owned())
}

fn missing(field: &str) -> TaskError {
    TaskError::MetadataField { field: field.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> Value {
        json!({
            "workspace_members": ["ours"],
            "packages": [
                {
                    "id": "ours", "name": "reward", "manifest_path": "/w/crates/reward/Cargo.toml",
                    "features": { "fast": ["image/rayon"] },
                    "dependencies": [
                        { "name": "image", "kind": null, "features": ["png"] },
                        { "name": "proptest", "kind": "dev", "features": [] },
                    ],
                    "targets": [
                        { "name": "reward", "kind": ["lib"], "src_path": "/w/crates/reward/src/lib.rs" },
                        { "name": "a_laws", "kind": ["test"], "src_path": "/w/crates/reward/tests/a_laws.rs" },
                    ],
                },
                { "id": "image", "name": "image" },
            ],
            "resolve": { "nodes": [{
                "id": "ours",
                "deps": [
                    { "pkg": "image", "dep_kinds": [{ "kind": null }, { "kind": "dev" }] },
                    { "pkg": "proptest", "dep_kinds": [{ "kind": "dev" }] },
                ],
            }] },
        })
    }

    #[test]
    fn reads_members_and_leaves_development_out_of_the_graph() {
        let metadata = Metadata::parse(&answer()).expect("the answer has the documented form");
        let [package] = &metadata.members[..] else { panic!("one member, not {:?}", metadata.members) };
        assert_eq!(package.features["fast"], ["image/rayon"]);
        assert_eq!(package.dependencies[0].features, ["png"]);
        assert!(!package.dependencies[0].development && package.dependencies[1].development);
        assert_eq!(package.targets[0].kind, TargetKind::Product);
        assert_eq!(package.targets[1].kind, TargetKind::Test);
        assert_eq!(metadata.graph["ours"].dependencies, ["image"]);
    }

    #[test]
    fn names_the_field_that_is_missing() {
        let mut answer = answer();
        answer["packages"][0]["targets"][1]["src_path"] = Value::Null;
        let error = Metadata::parse(&answer).expect_err("a target needs a root file");
        assert!(matches!(error, TaskError::MetadataField { field } if field == "src_path"));
    }
}
