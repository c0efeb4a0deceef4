//! Who may know whom.

use std::collections::{BTreeMap, VecDeque};

use super::Finding;
use super::workspace::Workspace;
use crate::metadata::{Metadata, Package};

/// Each crate and the crates of the workspace it may depend on.
const LAYERS: [(&str, &[&str]); 11] = [
    ("kernels", &[]),
    ("vlm-model", &["kernels"]),
    ("rollout", &["kernels", "vlm-model"]),
    ("dataset", &[]),
    ("grader", &[]),
    ("inspector", &[]),
    ("reward", &["grader"]),
    ("dependency", &["kernels"]),
    ("advantage", &[]),
    (
        "trainer",
        &["advantage", "dataset", "dependency", "grader", "inspector", "kernels", "reward", "rollout", "vlm-model"],
    ),
    (XTASK, &[]),
];

/// The chores build without the crates, their tests too; the tests of the others may look sideways.
const XTASK: &str = "xtask";

/// Packages that exercise the crates from outside and may depend on any of them.
const OUTSIDERS: [&str; 2] = ["system-tests", "benches"];

/// Crates that work without tensors, through their dependencies as well.
const WITHOUT_BURN: [&str; 4] = ["dataset", "grader", "inspector", "reward"];

/// Every dependency of one member on another is allowed, and no tensor library reaches the crates that work without.
pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let members = workspace.metadata.members.iter();
    members
        .filter(|package| !OUTSIDERS.contains(&&*package.name))
        .flat_map(|package| check_layer(workspace, package).into_iter().chain(check_burn(workspace, package)))
        .collect()
}

fn check_layer(workspace: &Workspace, package: &Package) -> Vec<Finding> {
    let name = &package.name;
    let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| layer == name) else {
        let advice =
            format!("`{name}` has no place among the layers; decide whom it may know in xtask/src/tidy/edges.rs");
        return vec![workspace.manifest_error(package, "name", advice)];
    };
    let is_member = |name: &str| workspace.metadata.members.iter().any(|member| member.name == name);
    package
        .dependencies
        .iter()
        .filter(|dependency| !dependency.development || name == XTASK)
        .map(|dependency| &*dependency.name)
        .filter(|known| is_member(known) && !allowed.contains(known))
        .map(|known| {
            let advice = format!(
                "`{name}` must not know `{known}`; remove the dependency, let `trainer` bring the two together"
            );
            workspace.manifest_error(package, known, advice)
        })
        .collect()
}

fn check_burn(workspace: &Workspace, package: &Package) -> Option<Finding> {
    if !WITHOUT_BURN.contains(&&*package.name) {
        return None;
    }
    let path = path_to_burn(&workspace.metadata, package)?;
    let first_step = path.get(1).copied().unwrap_or_default();
    let advice = format!("`{}` must work without burn; remove what reaches it: {}", package.name, path.join(" → "));
    Some(workspace.manifest_error(package, first_step, advice))
}

/// The names of the packages on a shortest way from `package` to a crate of burn, both included.
fn path_to_burn<'a>(metadata: &'a Metadata, package: &'a Package) -> Option<Vec<&'a str>> {
    let graph = &metadata.graph;
    let start = package.id.as_str();
    let mut reached_from = BTreeMap::from([(start, None)]);
    let mut queue = VecDeque::from([start]);
    while let Some(id) = queue.pop_front() {
        let Some(node) = graph.get(id) else { continue };
        if node.name == "burn" || node.name.starts_with("burn-") {
            let mut path: Vec<_> = std::iter::successors(Some(id), |step| reached_from[step])
                .map(|step| graph[step].name.as_str())
                .collect();
            path.reverse();
            return Some(path);
        }
        for next in &node.dependencies {
            if !reached_from.contains_key(next.as_str()) {
                reached_from.insert(next, Some(id));
                queue.push_back(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{Dependency, Node};

    fn package(name: &str, dependencies: &[(&str, bool)]) -> Package {
        Package {
            id: name.to_owned(),
            name: name.to_owned(),
            manifest: format!("/w/crates/{name}/Cargo.toml").into(),
            dependencies: dependencies
                .iter()
                .map(|(name, development)| Dependency {
                    name: (*name).to_owned(),
                    development: *development,
                    features: Vec::new(),
                })
                .collect(),
            ..Package::default()
        }
    }

    fn workspace(members: Vec<Package>, graph: &[(&str, &[&str])]) -> Workspace {
        let node = |(name, links): &(&str, &[&str])| {
            let dependencies = links.iter().map(|link| (*link).to_owned()).collect();
            let name = (*name).to_owned();
            (name.clone(), Node { name, dependencies })
        };
        Workspace {
            root: "/w".into(),
            metadata: Metadata { members, graph: graph.iter().map(node).collect() },
            ..Workspace::default()
        }
    }

    #[test]
    fn siblings_must_not_see_each_other() {
        let members = || vec![package("dataset", &[]), package("trainer", &[("dataset", false)])];
        assert_eq!(check(&workspace(members(), &[])), []);

        let mut bad = members();
        bad.push(package("rollout", &[("serde", false), ("dataset", false)]));
        let mut workspace = workspace(bad, &[]);
        let manifest = "[dependencies]\ndataset-tools = \"1\"\ndataset.workspace = true\n";
        workspace.manifests.insert("/w/crates/rollout/Cargo.toml".into(), manifest.to_owned());
        let [finding] = &check(&workspace)[..] else { panic!("one finding") };
        assert_eq!((finding.file.to_str(), finding.line), (Some("crates/rollout/Cargo.toml"), 3));
        assert!(finding.advice.contains("`rollout` must not know `dataset`"));
    }

    #[test]
    fn tests_may_look_sideways_and_outsiders_everywhere() {
        let members = vec![
            package("dataset", &[]),
            package("reward", &[("dataset", true)]),
            package("benches", &[("dataset", false)]),
        ];
        assert_eq!(check(&workspace(members, &[])), []);
    }

    #[test]
    fn a_new_crate_needs_a_place() {
        let findings = check(&workspace(vec![package("common", &[])], &[]));
        assert!(findings.len() == 1 && findings[0].advice.contains("`common` has no place"));
    }

    #[test]
    fn burn_is_found_behind_other_crates() {
        let graph: [(&str, &[&str]); 4] =
            [("reward", &["serde", "plot"]), ("serde", &[]), ("plot", &["serde", "burn-tensor"]), ("burn-tensor", &[])];
        let findings = check(&workspace(vec![package("reward", &[])], &graph));
        assert!(findings.len() == 1 && findings[0].advice.contains("reward → plot → burn-tensor"));
        assert_eq!(check(&workspace(vec![package("reward", &[])], &graph[..2])).len(), 0);
    }
}
