//! The HTML around the data: the shell, its style and its modules.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The shell, with a mark `{{name}}` where something is put in.
const SHELL: &str = include_str!("assets/page.html");

const STYLE: &str = include_str!("assets/page.css");

/// The modules by file name; each imports only from those before it.
const MODULES: [(&str, &str); 12] = [
    ("dom.js", include_str!("assets/dom.js")),
    ("data.js", include_str!("assets/data.js")),
    ("values.js", include_str!("assets/values.js")),
    ("colour.js", include_str!("assets/colour.js")),
    ("tokens.js", include_str!("assets/tokens.js")),
    ("curves.js", include_str!("assets/curves.js")),
    ("filter.js", include_str!("assets/filter.js")),
    ("table.js", include_str!("assets/table.js")),
    ("response.js", include_str!("assets/response.js")),
    ("compare.js", include_str!("assets/compare.js")),
    ("configuration.js", include_str!("assets/configuration.js")),
    ("main.js", include_str!("assets/main.js")),
];

/// The shell's text before and after the data, given the page's title.
pub(super) fn around(title: &str) -> (String, String) {
    let script = script();
    let policy = policy(&script);
    let title = escaped(title);
    let fill = |text: &str| {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, (name, after))) =
            rest.split_once("{{").and_then(|(a, b)| Some((a, b.split_once("}}")?)))
        {
            filled.push_str(before);
            filled.push_str(match name {
                "title" => &title,
                "policy" => &policy,
                "style" => STYLE,
                "script" => &script,
                _ => "",
            });
            rest = after;
        }
        filled + rest
    };
    let (before, after) = SHELL.split_once("{{data}}").unwrap_or((SHELL, ""));
    (fill(before), fill(after))
}

/// All modules as one: the lines that import are left out, and the word `export`.
fn script() -> String {
    let mut script = String::from("\n");
    for (name, text) in MODULES {
        script += &format!("// {name}\n");
        for line in text.lines().filter(|line| !line.starts_with("import ")) {
            script += line.strip_prefix("export ").unwrap_or(line);
            script.push('\n');
        }
    }
    script
}

/// Allows this script and this style by their hashes, images in the page, and nothing from elsewhere.
fn policy(script: &str) -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'",
        hash(script),
        hash(STYLE)
    )
}

/// Text that HTML shows as it is, characters without a shape left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {}
            control if control.is_control() => {}
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names a module makes known, and for each import line the names and the file.
    fn exports(text: &str) -> Vec<&str> {
        let names = text.lines().filter_map(|line| line.strip_prefix("export ")).map(|line| {
            let mut words =
                line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').filter(|w| !w.is_empty());
            words.find(|word| !["async", "function", "const", "let", "class"].contains(word)).expect("a name")
        });
        names.collect()
    }

    #[test]
    fn modules_import_what_earlier_ones_export() {
        for (at, (name, text)) in MODULES.iter().enumerate() {
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let (names, file) = line
                    .strip_prefix("import { ")
                    .and_then(|line| line.strip_suffix("\";"))
                    .and_then(|line| line.split_once(" } from \"./"))
                    .unwrap_or_else(|| panic!("{name} imports on one line by name: {line}"));
                let earlier = MODULES[..at].iter().find(|(known, _)| *known == file);
                let known = exports(earlier.unwrap_or_else(|| panic!("{name}: {file} does not come earlier")).1);
                for wanted in names.split(", ") {
                    assert!(known.contains(&wanted), "{name}: {file} exports no {wanted}");
                    let used = text.matches(wanted).count();
                    assert!(used > 1, "{name} imports {wanted} and does not use it");
                }
            }
        }
    }

    #[test]
    fn no_two_modules_share_a_name() {
        let mut names = std::collections::BTreeMap::new();
        for (file, text) in MODULES {
            for line in text.lines() {
                let line = line.strip_prefix("export ").unwrap_or(line);
                let line = line.strip_prefix("async ").unwrap_or(line);
                let declared =
                    ["function ", "const ", "let ", "class "].iter().find_map(|word| line.strip_prefix(word));
                let name = declared.and_then(|rest| rest.split([' ', '(', '=', ';']).next());
                if let Some(name) = name.filter(|name| !name.starts_with(['{', '['])) {
                    assert_eq!(names.insert(name, file), None, "`{name}` in {file}");
                }
            }
        }
    }

    /// What stands between `before` and the next quote, wherever `before` stands.
    fn quoted<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
        text.split(before).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect()
    }

    #[test]
    fn the_shell_has_what_the_modules_look_for() {
        let ids = quoted(SHELL, " id=\"");
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len(), "no id stands twice");
        for (file, text) in MODULES {
            for id in quoted(text, "byId(\"") {
                assert!(ids.contains(&id), "{file} looks for {id}");
            }
        }
        for id in [quoted(SHELL, "aria-controls=\""), quoted(SHELL, "aria-labelledby=\"")].concat() {
            assert!(ids.contains(&id), "{id}");
        }
    }

    #[test]
    fn every_element_of_the_shell_is_closed() {
        let empty = ["!doctype", "meta", "link", "input"];
        let mut open = Vec::new();
        for tag in SHELL.split('<').skip(1) {
            let name = tag.split([' ', '>', '\n']).next().unwrap_or_default();
            match name.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop(), Some(closed), "before {tag}"),
                None if empty.contains(&name) => {}
                None => open.push(name),
            }
        }
        assert_eq!(open, Vec::<&str>::new());
    }

    #[test]
    fn files_are_short() {
        for (file, text) in MODULES.iter().chain(&[("page.css", STYLE), ("page.html", SHELL)]) {
            assert!(text.lines().count() < 400, "{file}");
        }
    }

    #[test]
    fn the_script_cannot_end_early_and_fetches_nothing() {
        let script = script();
        assert!(!script.to_lowercase().contains("</script") && !script.contains("<!--"));
        for word in
            ["import(", "fetch(", "XMLHttpRequest", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "://"]
        {
            let found = script.lines().find(|line| line.contains(word) && !line.contains("www.w3.org/2000/svg"));
            assert_eq!(found, None, "{word}");
        }
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !STYLE.to_lowercase().contains("</style"));
    }

    #[test]
    fn titles_are_text() {
        assert_eq!(escaped("<b title=\"x\">&'\u{202e}\u{0}é"), "&lt;b title=&quot;x&quot;&gt;&amp;&#39;é");
        let (before, _) = around("{{script}} </title><script>alert(1)</script>");
        assert!(before.contains("<title>{{script}} &lt;/title&gt;&lt;script&gt;"), "marks in a title stay text");
    }
}
