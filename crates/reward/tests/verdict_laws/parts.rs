//! Rewards of parts: how they are written, what they add up to and who says how right an answer is.

use proptest::prelude::*;
use reward::{
    Answer, AnswerMatch, BuiltInPart, CosineLength, Form, Format, GroupLength, Reason, Repetition, Reward as _,
    RewardConfig, RewardError, SoftOverlong, Weight, WeightedPart,
};

use crate::answers::{answer, truth, verdict};

fn read(text: &str) -> Result<RewardConfig, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

fn inside() -> Vec<BuiltInPart> {
    vec![
        BuiltInPart::Answer(AnswerMatch::default()),
        BuiltInPart::Format(Format::default()),
        BuiltInPart::Repetition(Repetition::default()),
        BuiltInPart::SoftOverlong(SoftOverlong::new(8, 4, 1.0).expect("valid")),
        BuiltInPart::CosineLength(CosineLength::new(8).expect("valid")),
        BuiltInPart::GroupLength(GroupLength::default()),
    ]
}

proptest! {
    /// Each part has the value it has alone, and they add up by their weights, in whatever order they are written.
    #[test]
    fn parts_add_up(
        weights in prop::collection::vec(-2.0_f32..2.0, 6),
        responses in prop::collection::vec("(<think>)?(a b |a a a a ){0,4}(</think>)?(\\\\boxed\\{[12]\\})?", 1..5),
        backwards in any::<bool>(),
    ) {
        let mut parts: Vec<WeightedPart> = inside().into_iter().zip(&weights).map(|(part, &weight)| part.weighing(weight)).collect();
        if backwards {
            parts.reverse();
        }
        let gold = truth("1");
        let answers: Vec<Answer<'_>> =
            responses.iter().enumerate().map(|(index, text)| Answer { group: index % 2, ..answer(text, &gold) }).collect();
        let outcomes = RewardConfig::of_parts(parts.clone()).expect("valid").build().expect("nothing to start").judge(&answers);
        let right = RewardConfig::default().build().expect("nothing to start").judge(&answers);
        prop_assert_eq!(outcomes.len(), answers.len());
        for (index, outcome) in outcomes.iter().enumerate() {
            let verdict = outcome.as_ref().expect("judged within the program");
            let names: Vec<&str> = verdict.parts.iter().map(|part| part.name.as_str()).collect();
            let expected: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
            prop_assert_eq!(names, expected);
            let sum: f64 = parts.iter().zip(&verdict.parts).map(|(part, value)| f64::from(part.weight) * f64::from(value.value)).sum();
            prop_assert!((f64::from(verdict.overall) - sum).abs() < 1e-5, "{verdict:?}");
            prop_assert_eq!(verdict.accuracy, right[index].as_ref().expect("judged").accuracy);
            prop_assert_eq!(verdict.part("repetition"), Some(Repetition::default().score(&responses[index])));
            let cosine = CosineLength::new(8).expect("valid").score(verdict.is_right(), answers[index].tokens);
            prop_assert_eq!(verdict.part("cosine-length"), Some(cosine));
            let overlong = SoftOverlong::new(8, 4, 1.0).expect("valid").penalty(answers[index].tokens);
            prop_assert_eq!(verdict.part("soft-overlong"), Some(overlong));
        }
    }
}

#[test]
fn parts_are_written_as_a_list() {
    let text = r#"
[[parts]]
kind = "answer"
profile = "mathruler"

[[parts]]
kind = "format"
name = "form"
weight = 0.5
form = "think-answer"

[[parts]]
kind = "subprocess"
weight = 2
command = ["judge", "--quick"]
limits = { timeout = 1.5, workers = 2 }
"#;
    let config = read(text).expect("valid");
    let names: Vec<_> = config.parts.iter().map(|part| (part.name.as_str(), part.weight)).collect();
    assert_eq!(names, [("accuracy", 1.0), ("form", 0.5), ("subprocess", 2.0)]);
    assert_eq!(config.parts[1].part, BuiltInPart::Format(Format { form: Form::ThinkAnswer }));
    let BuiltInPart::Subprocess(program) = &config.parts[2].part else { panic!("{config:?}") };
    let limits = program.limits.raw();
    assert_eq!((limits.timeout, limits.workers, limits.retries), (1.5, 2, 2));
    let written = toml::to_string(&config).expect("TOML");
    assert_eq!(read(&written).expect("as written"), config, "{written}");
    for part in inside() {
        let config = RewardConfig::of_parts(vec![part.weighing(0.25)]).expect("valid");
        assert_eq!(read(&toml::to_string(&config).expect("TOML")), Ok(config));
    }
}

#[test]
fn the_short_form_is_an_answer_and_a_format() {
    let config = read("format_weight = 0.25\nprofile = 'mathruler'").expect("valid");
    let parts = config.weighted_parts();
    let weights: Vec<_> = parts.iter().map(|part| (part.name.as_str(), part.weight)).collect();
    assert_eq!(weights, [("accuracy", 0.75), ("format", 0.25)]);
    assert_eq!(read(&toml::to_string(&config).expect("TOML")), Ok(config));
    let default: Vec<f32> = RewardConfig::default().weighted_parts().iter().map(|part| part.weight).collect();
    assert_eq!(default, [1.0, 0.0]);
    assert_eq!(read("").expect("all have defaults"), RewardConfig::default());
    assert_eq!(RewardConfig::formatted(Weight::ZERO).format_weight, Some(Weight::ZERO));
}

#[test]
fn mistakes_are_named() {
    for (text, word) in [
        ("format_weight = 1.5", "1.5"),
        ("format = 0.1", "format"),
        ("profile = 'lenient'", "lenient"),
        ("format_weight = 0.1\n[[parts]]\nkind = 'answer'", "reward.format_weight and reward.parts"),
        ("profile = 'mathruler'\n[[parts]]\nkind = 'answer'", "reward.profile and reward.parts"),
        ("[[parts]]\nkind = 'anser'", "anser"),
        ("[[parts]]\nweight = 1", "kind"),
        ("[[parts]]\nkind = 'answer'\nwieght = 1", "wieght"),
        ("[[parts]]\nkind = 'answer'\nweight = 'much'", "weight: "),
        ("[[parts]]\nkind = 'answer'\nname = 3", "name: "),
        ("[[parts]]\nkind = 'answer'\nweight = inf", "weight"),
        ("[[parts]]\nkind = 'answer'\nname = ' '", "no name"),
        ("[[parts]]\nkind = 'answer'\nname = 'overall'", "named like the sum"),
        ("[[parts]]\nkind = 'answer'\n[[parts]]\nkind = 'answer'", "named like another"),
        ("[[parts]]\nkind = 'repetition'\nwords = 0", "1..=64"),
        ("[[parts]]\nkind = 'group-length'\nwords = 0", "words"),
        ("[[parts]]\nkind = 'subprocess'\ncommand = []", "the command is empty"),
        ("[[parts]]\nkind = 'subprocess'\ncommand = [' ', 'x']", "the command is empty"),
        ("[[parts]]\nkind = 'subprocess'\ncommand = ['x']\nlimits = { timeout = 0 }", "limits.timeout"),
        ("[[parts]]\nkind = 'subprocess'\ncommand = ['x']\nlimits = { deadline = 1e9 }", "limits.deadline"),
        ("[[parts]]\nkind = 'subprocess'\ncommand = ['x']\nlimits = { back_off = -1 }", "limits.back_off"),
        ("[[parts]]\nkind = 'http'\nurl = 'x'\nlimits = { workers = 257 }", "limits.workers"),
        ("[[parts]]\nkind = 'http'\nurl = 'x'\nlimits = { workers = 0 }", "limits.workers"),
        ("[[parts]]\nkind = 'http'\nurl = 'x'\nlimits = { batch = 0 }", "limits.batch"),
        ("[[parts]]\nkind = 'http'\nurl = 'x'\nlimits = { max_reply_bytes = 0 }", "limits.max_reply_bytes"),
        ("[[parts]]\nkind = 'http'\nurl = 'x'\nlimits = { retry = 1 }", "retry"),
    ] {
        let error = read(text).expect_err(text);
        assert!(error.contains(word), "{text}: {error}");
    }
    let endless = WeightedPart { weight: f32::NAN, ..BuiltInPart::Answer(AnswerMatch::default()).weighing(1.0) };
    assert!(matches!(RewardConfig::of_parts(vec![endless]), Err(RewardError::PartWeight { .. })));
}

/// A program or an address that cannot be asked is found when the reward is set up.
#[test]
fn what_cannot_be_asked_is_refused() {
    let build = |text: &str| read(text).expect("valid").build().map(|_| ()).map_err(|error| error.to_string());
    for (text, word) in [
        ("[[parts]]\nkind = 'subprocess'\ncommand = ['/no/such/program', '-x']", "/no/such/program -x"),
        ("[[parts]]\nkind = 'http'\nurl = 'localhost:80'", "http://"),
        ("[[parts]]\nkind = 'http'\nurl = 'ftp://localhost'", "ftp://localhost"),
        ("[[parts]]\nkind = 'http'\nurl = 'http://'", "http://"),
    ] {
        let error = build(text).expect_err(text);
        assert!(error.contains(word), "{text}: {error}");
    }
    assert_eq!(build("[[parts]]\nkind = 'http'\nurl = 'https://localhost/judge'"), Ok(()));
}

/// Without a part that knows how right an answer is, the reward itself says.
#[test]
fn the_reward_is_the_accuracy_where_nothing_else_is() {
    let text = "<think>a</think>\\boxed{1}";
    let gold = truth("2");
    let accuracy = |weight: f32| {
        let config =
            RewardConfig::of_parts(vec![BuiltInPart::Format(Format::default()).weighing(weight)]).expect("valid");
        let verdict = verdict(&config.build().expect("nothing to start"), &answer(text, &gold));
        assert_eq!(verdict.overall, weight);
        verdict.accuracy
    };
    assert_eq!((accuracy(0.5), accuracy(3.0), accuracy(-1.0)), (0.5, 1.0, 0.0));
}

#[test]
fn a_sum_that_is_not_finite_is_no_verdict() {
    let mut parts = inside();
    parts.truncate(2);
    let parts = parts.into_iter().map(|part| part.weighing(f32::MAX)).collect();
    let reward = RewardConfig::of_parts(parts).expect("valid").build().expect("nothing to start");
    let gold = truth("1");
    let ungraded = reward.judge(&[answer("<think></think>\\boxed{1}", &gold)]).remove(0).expect_err("infinite");
    assert_eq!(ungraded.reason, Reason::NotFinite { value: f32::INFINITY });
    assert_eq!(verdict(&reward, &answer("", &gold)).overall, 0.0);
}

#[test]
fn forms_are_recognized() {
    let score = |form, text| Format { form }.score(text);
    for (text, boxed, tagged) in [
        ("<think>a</think>\\boxed{1}", 1.0, 0.0),
        (" < think > a </think> so \\boxed{1}.", 1.0, 0.0),
        ("<think>a</think>\n <answer> 1 </answer> ", 0.0, 1.0),
        ("<think></think><answer>\\boxed{1}</answer>", 1.0, 1.0),
        ("<think>a</think><answer> </answer>", 0.0, 0.0),
        ("<think>a</think> so <answer>1</answer>", 0.0, 0.0),
        ("<think>a</think><answer>1</answer>.", 0.0, 0.0),
        ("a<think></think><answer>1</answer>", 0.0, 0.0),
        ("<think>a<answer>1</answer>", 0.0, 0.0),
        ("<think>a</think>\\boxed{}", 0.0, 0.0),
        ("<think>a</think>\\boxed{1", 0.0, 0.0),
        ("\\boxed{1}", 0.0, 0.0),
        ("", 0.0, 0.0),
    ] {
        assert_eq!(score(Form::ThinkBox, text), boxed, "{text}");
        assert_eq!(score(Form::ThinkAnswer, text), tagged, "{text}");
    }
}
