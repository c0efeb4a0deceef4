//! Problems written as messages, as verl, TRL, ms-swift and ShareGPT have them.

use dataset::{DatasetError, ImageSource, Problem};
use serde_json::{Value, json};

use crate::tables::problem_of;

const IMAGE: &str = "data:image/png;base64,AAECAw==";

fn read(row: &Value, layout: &str) -> Problem {
    problem_of(row, layout).unwrap_or_else(|error| panic!("{row} as {layout}: {error}"))
}

fn image() -> ImageSource {
    ImageSource::Bytes(vec![0, 1, 2, 3])
}

#[test]
fn trl_puts_images_first() {
    let problem = read(&json!({"prompt": "How long is AB?", "image": IMAGE, "solution": "12"}), "trl");
    assert_eq!((problem.problem.as_str(), problem.answer.as_str()), ("<image>How long is AB?", "12"));
    assert_eq!((problem.images, problem.system), (vec![image()], None));
    let messages = json!([
        {"role": "system", "content": "Think."},
        {"role": "user", "content": [{"type": "text", "text": "Which "}, {"type": "image"}, {"type": "text", "text": "?"}]},
    ]);
    let problem = read(&json!({"prompt": messages, "images": [IMAGE], "solution": 3}), "trl");
    assert_eq!((problem.problem.as_str(), problem.answer.as_str()), ("Which <image>?", "3"));
    assert_eq!(problem.system.as_deref(), Some("Think."));
    // Text alone stays text.
    assert_eq!(read(&json!({"prompt": "2 + 2?", "images": [], "solution": "4"}), "trl").problem, "2 + 2?");
    assert_eq!(read(&json!({"problem": "2 + 2?", "images": null, "answer": "4"}), "trl").problem, "2 + 2?");
}

#[test]
fn ms_swift_has_messages_and_a_solution() {
    let messages = json!([{"role": "user", "content": "<image>Where?"}, {"role": "assistant", "content": "There."}]);
    let problem = read(&json!({"messages": messages, "images": [IMAGE], "solution": "<answer>B</answer>"}), "ms-swift");
    assert_eq!((problem.problem.as_str(), problem.answer.as_str()), ("<image>Where?", "<answer>B</answer>"));
    // Without a solution the assistant's message is the answer.
    assert_eq!(
        read(&json!({"messages": messages, "images": [{"path": null, "bytes": "AAECAw=="}]}), "ms-swift").answer,
        "There."
    );
    assert_eq!(read(&json!({"query": "Where?", "solution": "B"}), "ms-swift").problem, "Where?");
}

#[test]
fn sharegpt_answers_by_the_assistant() {
    let messages = json!([{"content": "<image>Range?", "role": "user"}, {"content": "12", "role": "assistant"}]);
    let problem = read(&json!({"messages": messages, "images": [IMAGE]}), "sharegpt");
    assert_eq!((problem.problem.as_str(), problem.answer.as_str()), ("<image>Range?", "12"));
    let turns = json!([{"from": "human", "value": "Range?"}, {"from": "gpt", "value": "12"}]);
    let problem = read(&json!({"conversations": turns, "image": [IMAGE, IMAGE]}), "sharegpt");
    assert_eq!((problem.problem.as_str(), problem.images.len()), ("<image><image>Range?", 2));
    assert_eq!(read(&json!({"conversations": turns, "answer": "13"}), "sharegpt").answer, "13");
}

#[test]
fn verl_prefers_the_bare_question() {
    let prompt = json!([{"role": "user", "content": "<image>Find x. You FIRST think."}]);
    let row = |extra: Value| json!({"prompt": prompt, "images": [IMAGE], "reward_model": {"style": "rule", "ground_truth": "5"}, "extra_info": extra});
    let problem = read(&row(json!({"question": "<image>Find x."})), "verl");
    assert_eq!((problem.problem.as_str(), problem.answer.as_str()), ("<image>Find x.", "5"));
    assert_eq!(read(&row(json!({"index": 3})), "verl").problem, "<image>Find x. You FIRST think.");
    assert_eq!(read(&row(json!({"question": null})), "verl").problem, "<image>Find x. You FIRST think.");
    assert_eq!(read(&row(json!({"question": "Find x."})), "verl").problem, "<image>Find x.");
}

/// Images that stand in the message come in its order.
#[test]
fn images_may_stand_in_the_message() {
    let parts = json!([
        {"type": "image", "image": IMAGE},
        {"type": "text", "text": "Alike?"},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,BA=="}},
    ]);
    let messages = json!([{"role": "user", "content": parts}]);
    let problem = read(&json!({"messages": messages, "answer": "no"}), "sharegpt");
    assert_eq!(problem.problem, "<image>Alike?<image>");
    assert_eq!(problem.images, [image(), ImageSource::Bytes(vec![4])]);
    let both = problem_of(&json!({"messages": messages, "images": [IMAGE, IMAGE], "answer": "no"}), "sharegpt");
    let error = both.expect_err("twice").to_string();
    assert!(error.contains("images both in the message and in a column"), "{error}");
}

#[test]
fn conversations_hold_one_question() {
    let say = |role: &str, content: Value| json!({"role": role, "content": content});
    let [system, user, assistant] = ["system", "user", "assistant"].map(|role| say(role, "words".into()));
    for (messages, expected) in [
        (vec![], "no message of the user"),
        (vec![system.clone()], "no message of the user"),
        (vec![user.clone(), assistant.clone(), user.clone()], "more than one question"),
        (vec![user.clone(), user.clone()], "more than one question"),
        (vec![assistant.clone(), user.clone()], "follows no question"),
        (vec![user.clone(), assistant.clone(), assistant.clone()], "follows no question"),
        (vec![user.clone(), system.clone()], "a system message that is not the first"),
        (vec![system.clone(), system.clone(), user.clone()], "a system message that is not the first"),
        (vec![say("tool", "words".into())], "the role `tool`"),
        (vec![json!({"content": "words"})], "has no `role`"),
        (vec![json!({"role": "user"})], "has no `content`"),
        (vec![json!({"role": 5, "content": "words"})], "has no `role`"),
        (vec![json!("words")], "has no `role`"),
        (vec![say("user", json!(5))], "the content 5"),
        (vec![say("user", json!([{"type": "video", "video": "v.mp4"}]))], "the part {type: \"video\""),
        (vec![say("user", json!([{"type": "text"}]))], "the part {type: \"text\"}"),
    ] {
        let row = json!({"messages": messages, "answer": "a"});
        let error = problem_of(&row, "sharegpt").expect_err(expected);
        assert!(matches!(&error, DatasetError::Messages { .. }) && error.is_of_row(), "{error}");
        assert!(error.to_string().contains(expected), "{row}: {error}");
    }
    // A blank system message is none.
    let row = json!({"messages": [say("system", " ".into()), user], "answer": "a"});
    assert_eq!(read(&row, "sharegpt").system, None);
}
