//! Worked responses, to learn the form and the words from before reinforcement.

use super::{Question, Scene, Shape, Side, Superlative};

/// The response of somebody who looks before answering: all shapes in an order that settles the question, then what follows
/// from it, in `<think>…</think>`; then the answer in `\boxed{…}`.
///
/// The order is by size where size is asked for, from top to bottom where height is, and else from left to right. `None` if
/// the question has no clear answer in the scene.
pub fn explain(question: &Question, scene: &Scene) -> Option<String> {
    let answer = question.answer(scene)?;
    let mut shapes: Vec<&Shape> = scene.shapes.iter().collect();
    match question {
        Question::Most(Superlative::Largest, _) => {
            shapes.sort_by_key(|shape| (u32::MAX - shape.radius, shape.x, shape.y));
        }
        Question::Most(Superlative::Smallest, _) => shapes.sort_by_key(|shape| (shape.radius, shape.x, shape.y)),
        Question::Most(Superlative::Outermost(Side::Above | Side::Below), _)
        | Question::Beside(Side::Above | Side::Below, _) => shapes.sort_by_key(|shape| (shape.y, shape.x)),
        _ => shapes.sort_by_key(|shape| (shape.x, shape.y)),
    }
    let seen: Vec<String> =
        shapes.iter().map(|shape| format!("{} {}", shape.color.word(), shape.kind.word())).collect();
    Some(format!("<think>I see a {}. So it is {answer}.</think>\n\\boxed{{{answer}}}", seen.join(", a ")))
}
