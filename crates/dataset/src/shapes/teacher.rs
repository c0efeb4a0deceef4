//! Worked responses, to learn the form and the words from before reinforcement.

use super::questions::reference;
use super::{Question, Scene, Shape};

/// The response of somebody who looks before answering: a short thought in `<think>…</think>`, then the answer in `\boxed{…}`.
///
/// Counted shapes are listed from left to right. `None` if the question has no clear answer in the scene.
pub fn explain(question: &Question, scene: &Scene) -> Option<String> {
    let mut subjects = question.subjects(scene)?;
    subjects.sort_by_key(|shape| (shape.x, shape.y));
    let names: Vec<String> = subjects.iter().map(|shape| name(shape)).collect();
    let answer = question.answer(scene)?;
    let thought = match question {
        Question::CountAll | Question::CountColor(_) | Question::CountKind(_) => {
            let seen = listed(&names).unwrap_or_else(|| format!("no {}", counted(question)));
            format!("I see {seen}. That is {answer}.")
        }
        Question::ColorOf(kind) => format!("The {} is {answer}.", kind.word()),
        Question::Most(most, _) => format!("The {} shape is {}.", most.word(), names.first()?),
        Question::Beside(side, color) => {
            let reference = reference(scene, *color)?.kind.word();
            format!("The shape {} the {} {reference} is {}.", side.words(), color.word(), names.first()?)
        }
    };
    Some(format!("<think>{thought}</think>\n\\boxed{{{answer}}}"))
}

/// "a red circle"; no colour begins with a vowel.
fn name(shape: &Shape) -> String {
    format!("a {} {}", shape.color.word(), shape.kind.word())
}

/// One of what is counted.
fn counted(question: &Question) -> String {
    match question {
        Question::CountColor(color) => format!("{} shape", color.word()),
        Question::CountKind(kind) => kind.word().to_owned(),
        _ => "shape".to_owned(),
    }
}

/// "a, b and c"; nothing for no names.
fn listed(names: &[String]) -> Option<String> {
    match names.split_last()? {
        (last, []) => Some(last.clone()),
        (last, before) => Some(format!("{} and {last}", before.join(", "))),
    }
}
