//! No execution backend below `trainer`: the lower crates compute wherever their inputs live.

use super::Finding;
use super::code::{identifiers, without_tests};
use super::modules::{Tests, reachable};
use super::workspace::Workspace;
use crate::metadata::{Package, TargetKind};

/// The crates that compute with tensors and must not choose where.
const BACKEND_FREE: [&str; 4] = ["vlm-model", "rollout", "dependency", "advantage"];

/// Words that name a backend.
const BACKENDS: [&str; 8] = ["cuda", "flex", "metal", "ndarray", "rocm", "vulkan", "webgpu", "wgpu"];

/// No backend is named in the code of a lower crate, nor turned on in its manifest. Tests may, and so may comments.
pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &workspace.metadata.members {
        if BACKEND_FREE.contains(&&*package.name) {
            check_code(workspace, package, &mut findings);
            check_manifest(workspace, package, &mut findings);
        }
    }
    findings
}

fn check_code(workspace: &Workspace, package: &Package, findings: &mut Vec<Finding>) {
    let products = package.targets.iter().filter(|target| target.kind == TargetKind::Product);
    let shipped = reachable(&workspace.sources, products, Tests::Excluded);
    for (path, source) in workspace.sources_of(package) {
        if !shipped.contains(path) {
            continue;
        }
        for (index, line) in without_tests(&source.code).lines().enumerate() {
            if let Some(name) = identifiers(line).find(|name| names_backend(name)) {
                let advice = format!("`{name}` names a backend below `trainer`; take the device from an input tensor");
                findings.push(workspace.error(path, index + 1, advice));
            }
        }
    }
}

fn check_manifest(workspace: &Workspace, package: &Package, findings: &mut Vec<Finding>) {
    for dependency in package.dependencies.iter().filter(|dependency| !dependency.development) {
        let name = &dependency.name;
        let feature = dependency.features.iter().find(|feature| names_backend(feature));
        let advice = match feature {
            Some(feature) if name.starts_with("burn") => {
                format!("feature `{feature}` of `{name}` is a backend; move it to [dev-dependencies] or to `trainer`")
            }
            _ if name.starts_with("cubecl") || (name.starts_with("burn-") && names_backend(name)) => {
                format!("`{name}` is a backend; remove it, `trainer` chooses the backend")
            }
            _ => continue,
        };
        findings.push(workspace.manifest_error(package, name, advice));
    }
    for (feature, turned_on) in &package.features {
        if let Some(backend) = turned_on.iter().find(|name| name.starts_with("burn") && names_backend(name)) {
            let advice =
                format!("feature `{feature}` turns on `{backend}`, a backend; only `trainer` has such features");
            findings.push(workspace.manifest_error(package, feature, advice));
        }
    }
}

/// Whether one of the words of a name is a backend, whatever the case convention.
fn names_backend(name: &str) -> bool {
    let mut words = String::new();
    for character in name.chars() {
        if character.is_uppercase() || !character.is_alphanumeric() {
            words.push(' ');
        }
        words.extend(character.to_lowercase());
    }
    words.split(|character: char| !character.is_alphanumeric()).any(|word| BACKENDS.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::{Dependency, Target};
    use crate::tidy::workspace::Source;

    fn workspace(code: &str, dependency: Dependency) -> Workspace {
        let mut workspace = Workspace::default();
        workspace.metadata.members = vec![Package {
            name: "advantage".to_owned(),
            manifest: "/w/advantage/Cargo.toml".into(),
            targets: vec![Target {
                name: "advantage".to_owned(),
                kind: TargetKind::Product,
                source: "/w/advantage/src/lib.rs".into(),
            }],
            dependencies: vec![dependency],
            ..Package::default()
        }];
        let source = Source::new(code.to_owned());
        workspace.sources.insert("/w/advantage/src/lib.rs".into(), source);
        workspace
    }

    fn burn(development: bool, features: &[&str]) -> Dependency {
        Dependency {
            name: "burn".to_owned(),
            development,
            features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        }
    }

    #[test]
    fn words_of_any_case_count_and_parts_of_words_do_not() {
        assert!(["cuda", "on_wgpu", "FlexDevice", "burn/vulkan", "burn-cuda"].iter().all(|name| names_backend(name)));
        assert!(!["flexible", "barracuda", "Wg", "reflex"].iter().any(|name| names_backend(name)));
    }

    #[test]
    fn code_must_not_choose_where_it_runs() {
        let code = "/// On cuda.\nfn f() {\n    let device = Device::cuda(0);\n}";
        let findings = check(&workspace(code, burn(false, &["std"])));
        assert!(findings.len() == 1 && findings[0].line == 3, "{findings:?}");
    }

    #[test]
    fn comments_strings_and_tests_may_name_backends() {
        let code = "// wgpu\nfn f() { g(\"cuda\") }\n#[cfg(test)]\nmod tests {\n fn h() { Device::flex(); }\n}";
        assert_eq!(check(&workspace(code, burn(true, &["flex"]))), []);
    }

    #[test]
    fn manifests_must_not_turn_backends_on() {
        let findings = check(&workspace("", burn(false, &["std", "flex"])));
        assert!(findings.len() == 1 && findings[0].advice.contains("feature `flex` of `burn`"));

        let mut direct = burn(false, &[]);
        direct.name = "burn-wgpu".to_owned();
        assert_eq!(check(&workspace("", direct)).len(), 1);

        let mut feature = workspace("", burn(false, &[]));
        let turned_on = vec!["burn/cuda".to_owned()];
        feature.metadata.members[0].features.insert("gpu".to_owned(), turned_on);
        assert_eq!(check(&feature).len(), 1);
    }
}
