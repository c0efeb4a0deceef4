//! Laws of prompt templates: they put words around a problem and leave it whole.

use dataset::{DatasetError, Template};
use proptest::prelude::*;

const QUESTION: &str = "<image>How long is AB?";

#[test]
fn built_in_templates_have_the_released_words() {
    let rendered = |name: &str| Template::find(name).expect(name).render(QUESTION).expect(name);
    assert_eq!(rendered("none"), QUESTION);
    assert_eq!(
        rendered("vppo"),
        "<image>How long is AB?\n\nYou first think through the reasoning process as an internal monologue, enclosed within \
         <think> </think> tags. Then, provide your final answer enclosed within \\boxed{}."
    );
    assert_eq!(
        rendered("math"),
        "<image>How long is AB? You FIRST think about the reasoning process as an internal monologue and then provide the \
         final answer. The reasoning process MUST BE enclosed within <think> </think> tags. The final answer MUST BE put \
         in \\boxed{}."
    );
    let r1v = rendered("r1v");
    assert!(r1v.starts_with("<image>How long is AB? A conversation between User and Assistant."), "{r1v}");
    assert!(r1v.ends_with("<think> reasoning process here </think><answer> answer here </answer>"), "{r1v}");
    let dapo = rendered("dapo");
    assert!(dapo.starts_with("Solve the following math problem step by step."), "{dapo}");
    assert!(dapo.contains("\n\n<image>How long is AB?\n\n"), "{dapo}");
    assert!(dapo.ends_with("Remember to put your answer on its own line after \"Answer:\"."), "{dapo}");
    assert_eq!(Template::names().collect::<Vec<_>>(), ["none", "vppo", "math", "r1v", "dapo"]);
    assert_eq!(Template::default(), Template::find("none").expect("built in"));
}

/// Chains of operators as long as a template can be: the compiler calls itself for each.
#[test]
fn chains_of_operators_do_not_exhaust_the_stack() {
    let most = Template::MAX_BYTES as usize - 100;
    let aside = |inside: String| format!("{{{{ content }}}}{{% if false %}}{inside}{{% endif %}}");
    let chain = |operator: &str| aside(format!("{{{{ 1{} }}}}", operator.repeat(most / operator.len())));
    let alternatives = aside(format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat(most / 12)));
    let negations = aside(format!("{{{{ {}1 }}}}", "-".repeat(most)));
    for text in [chain(".a"), chain("~1"), chain("[0]"), alternatives, negations] {
        let template = Template::new(&text).unwrap_or_else(|error| panic!("{}: {error}", &text[..50]));
        assert_eq!(template.render(QUESTION).expect("the chain is never followed"), QUESTION);
    }
}

proptest! {
    /// A problem is data: braces, percent signs, markup and quotes in it mean nothing to a template.
    #[test]
    fn the_problem_stays_whole(problem in "[ -~\\n{}%#<>&\"']{1,60}|\\PC{1,30}") {
        for name in Template::names() {
            let rendered = Template::find(name).expect(name).render(&problem).expect(name);
            let kept = if name == "none" { problem.as_str() } else { problem.trim() };
            prop_assert!(rendered.contains(kept), "{name}: {rendered}");
        }
        prop_assert_eq!(Template::default().render(&problem).expect("none"), problem);
    }

    /// Whatever a user's file says, it is taken or refused, and in no time.
    #[test]
    fn any_text_is_taken_or_refused(text in "([{]{1,2}|[}]{1,2}|%|content|for x in|range|endfor|if|~|\\|| |\\PC){0,24}") {
        match Template::new(&text) {
            Ok(template) => prop_assert!(template.render("a problem").is_ok_and(|turn| turn.contains("a problem"))),
            Err(error) => prop_assert!(matches!(error, DatasetError::Template { .. }), "{}", error),
        }
    }
}

#[test]
fn mistakes_are_named_when_a_template_is_read() {
    for (text, expected) in [
        ("Answer briefly.", "leaves the problem out"),
        ("{{ question }}", "undefined"),
        ("{{ content | upper }}", "leaves the problem out or changes it"),
        ("{{ content", "syntax error"),
        ("{{ content | nosuch }}", "unknown filter"),
        ("{{ content }}{% for x in range(100000) %}{% for y in range(100000) %}{% endfor %}{% endfor %}", "fuel"),
        ("", "leaves the problem out"),
    ] {
        let error = Template::new(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let error = Template::find("nothing.jinja").expect_err("not there").to_string();
    assert!(error.contains("`nothing.jinja`; built in are none, vppo, math, r1v, dapo"), "{error}");
}

/// Files are read with the setting, and written back as their text: a run keeps the words it began with.
#[test]
fn templates_are_settings() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("own.jinja");
    std::fs::write(&path, "{{ content.strip() }} Think.\n").expect("a writable folder");
    let name = serde_json::to_string(&path).expect("a path");
    let own: Template = serde_json::from_str(&name).expect("a template");
    assert_eq!(own.render(" p ").expect("it was tried"), "p Think.");
    let written = serde_json::to_string(&own).expect("JSON");
    assert_eq!(written, r#"{"text":"{{ content.strip() }} Think.\n"}"#);
    std::fs::remove_file(path).expect("a writable folder");
    assert_eq!(serde_json::from_str::<Template>(&written).expect("by its text"), own);
    assert_eq!(serde_json::to_string(&Template::find("vppo").expect("built in")).expect("JSON"), "\"vppo\"");
    for (text, expected) in
        [("\"none such\"", "no template `none such`"), ("5", "a built-in name"), (r#"{"txt": ""}"#, "a built-in name")]
    {
        let error = serde_json::from_str::<Template>(text).expect_err(text).to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
