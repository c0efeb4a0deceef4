//! From sampled tokens to judged texts.

use burn::tensor::Tensor;
use reward::{Answer, Part, Reward, Ungraded, Verdict};
use rollout::{Completion, Finish};

use super::{Group, Source};
use crate::TrainError;
use crate::prepare::Task;

/// A response as text.
pub(crate) struct Judged {
    pub(crate) text: String,
    /// Whether the reward was asked; a response that was cut may count as wrong unasked.
    pub(crate) asked: bool,
    /// Its verdict, or why it has none.
    pub(crate) verdict: Result<Verdict, String>,
}

/// A problem with all its sampled responses.
pub(crate) struct Answered {
    pub(crate) task: Task,
    pub(super) features: Option<Tensor<2>>,
    pub(crate) responses: Vec<(Completion, Judged)>,
}

impl Answered {
    /// The group of the responses that have a verdict.
    pub(super) fn graded(self) -> Group {
        let Self { task, features, responses } = self;
        let mut group = Group {
            task,
            features,
            completions: Vec::new(),
            texts: Vec::new(),
            verdicts: Vec::new(),
            asked: 0,
            ungraded: 0,
        };
        for (completion, Judged { text, asked, verdict }) in responses {
            match verdict {
                Ok(verdict) => {
                    group.asked += usize::from(asked);
                    group.completions.push(completion);
                    group.texts.push(text);
                    group.verdicts.push(verdict);
                }
                Err(_) => group.ungraded += 1,
            }
        }
        group
    }
}

impl Source<'_> {
    /// Each response as text, and its verdict if it has one.
    pub(super) fn judge(
        &self,
        tasks: &[Task],
        completions: &[Vec<Completion>],
    ) -> Result<Vec<Vec<Judged>>, TrainError> {
        let text = |completion: &Completion| self.processor.tokenizer.decode(&completion.tokens, true);
        let texts = |group: &Vec<Completion>| group.iter().map(text).collect::<Result<Vec<String>, _>>();
        let texts: Vec<Vec<String>> = completions.iter().map(texts).collect::<Result<_, _>>()?;
        let rollout = &self.config.rollout;
        let is_judged = |completion: &Completion| completion.finish != Finish::Length || rollout.judge_truncated;
        let answers: Vec<Answer<'_>> = tasks
            .iter()
            .zip(completions.iter().zip(&texts))
            .enumerate()
            .flat_map(|(group, (task, (completions, texts)))| {
                completions.iter().zip(texts).filter(|(completion, _)| is_judged(completion)).map(
                    move |(completion, response)| Answer {
                        problem: &task.problem,
                        response,
                        truth: &task.truth,
                        tokens: completion.tokens.len(),
                        group,
                    },
                )
            })
            .collect();
        let mut outcomes = outcomes(self.reward, &answers).into_iter();
        let mut judged = |(completion, text): (&Completion, String)| {
            let verdict =
                if is_judged(completion) { outcomes.next().unwrap_or_else(too_few) } else { Ok(Verdict::default()) };
            let penalty = rollout.overlong_penalty.map(|penalty| penalty.penalty(completion.tokens.len()));
            Judged {
                text,
                asked: is_judged(completion),
                verdict: verdict.map(|verdict| with_penalty(verdict, penalty)),
            }
        };
        let groups = completions.iter().zip(texts);
        Ok(groups.map(|(group, texts)| group.iter().zip(texts).map(&mut judged).collect()).collect())
    }
}

/// The verdict on each answer, or why it has none.
pub(crate) fn outcomes(reward: &dyn Reward, answers: &[Answer<'_>]) -> Vec<Result<Verdict, String>> {
    let outcomes = reward.judge(answers);
    warn_of_ungraded(&outcomes);
    let given = outcomes.into_iter().map(|outcome| outcome.map_err(|ungraded| ungraded.to_string()));
    // A reward that answers too little has left the rest ungraded.
    given.chain(std::iter::repeat_with(too_few)).take(answers.len()).collect()
}

fn too_few() -> Result<Verdict, String> {
    Err("the reward gave fewer verdicts than it was asked for".to_owned())
}

/// Takes what a long response loses off its reward and notes it as a part of its own.
pub(crate) fn with_penalty(mut verdict: Verdict, penalty: Option<f32>) -> Verdict {
    if let Some(value) = penalty {
        verdict.overall += value;
        verdict.parts.push(Part { name: "overlong-penalty".to_owned(), value });
    }
    verdict
}

/// One line for all of a round's responses that could not be judged.
fn warn_of_ungraded(outcomes: &[Result<Verdict, Ungraded>]) {
    let mut ungraded = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    if let Some(first) = ungraded.next() {
        let count = 1 + ungraded.count();
        tracing::warn!(
            "{count} of {} responses could not be judged and are left out; the first: {first}",
            outcomes.len()
        );
    }
}
