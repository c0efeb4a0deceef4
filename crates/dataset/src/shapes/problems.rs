//! Dealing questions, and looking for scenes with the dealt answers.

use std::collections::HashSet;

use rand::seq::SliceRandom as _;
use rand::{Rng, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{Question, Scene, ShapesConfig};
use crate::DatasetError;

/// How many scenes are tried for one question and answer. The rarest wanted one takes some thousands.
const SCENE_TRIES: usize = 100_000;
/// For how many of these the number of shapes is kept. Were it drawn for each, few shapes would drive out many, which answer most
/// questions less often.
const TRIES_PER_NUMBER: usize = 2_000;

/// A question about a scene, and its answer there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapesProblem {
    /// What the picture shows.
    pub scene: Scene,
    /// What is asked.
    pub question: Question,
    /// The answer, one word or number.
    pub answer: String,
}

/// The problems of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapesProblems {
    /// Problems to train on.
    pub train: Vec<ShapesProblem>,
    /// Problems held out; none of their scenes is a training scene.
    pub held_out: Vec<ShapesProblem>,
}

/// Makes the problems of `config` without drawing them.
///
/// Categories take turns. Within a category, all pairs of a question and an answer lie in one deck that is dealt out and shuffled
/// again; so the answers of any question are equally frequent, up to one. For a dealt pair, random scenes are tried until one
/// has that answer: a scene is as random as its answer allows.
///
/// # Errors
/// [`DatasetError::ShapesSetting`] if a setting cannot be met, [`DatasetError::NoScene`] if no scene was found for some pair.
pub fn problems(config: &ShapesConfig) -> Result<ShapesProblems, DatasetError> {
    config.check()?;
    let mut seen = HashSet::new();
    Ok(ShapesProblems {
        train: split(config, 0, config.train, &mut seen)?,
        held_out: split(config, 1, config.held_out, &mut seen)?,
    })
}

/// Makes `count` problems from a random stream of their own, with scenes not `seen` before.
fn split(
    config: &ShapesConfig,
    stream: u64,
    count: usize,
    seen: &mut HashSet<Scene>,
) -> Result<Vec<ShapesProblem>, DatasetError> {
    let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
    rng.set_stream(stream);
    let deck = |&category| Deck::new(Question::all(category, config), config);
    let mut decks: Vec<Deck> = config.categories.iter().map(deck).collect();
    let turns = decks.len();
    (0..count).map(|at| make(config, decks[at % turns].deal(&mut rng), seen, &mut rng)).collect()
}

/// Looks for a new scene in which the question has the answer.
fn make(
    config: &ShapesConfig,
    (question, answer): (Question, String),
    seen: &mut HashSet<Scene>,
    rng: &mut impl Rng,
) -> Result<ShapesProblem, DatasetError> {
    let mut shapes = config.min_shapes;
    let found = (0..SCENE_TRIES).find_map(|tried| {
        if tried % TRIES_PER_NUMBER == 0 {
            shapes = rng.random_range(config.min_shapes..=config.max_shapes);
        }
        let scene = Scene::scatter(shapes, config, rng)?;
        let is_wanted = question.answer(&scene).as_ref() == Some(&answer) && !seen.contains(&scene);
        is_wanted.then_some(scene)
    });
    let Some(scene) = found else {
        return Err(DatasetError::NoScene { question: question.text(), answer, tries: SCENE_TRIES });
    };
    seen.insert(scene.clone());
    Ok(ShapesProblem { scene, question, answer })
}

/// Pairs of a question and an answer, dealt in random order, each once before any comes again.
struct Deck {
    pairs: Vec<(Question, String)>,
    dealt: usize,
}

impl Deck {
    /// All answers of all questions.
    fn new(questions: Vec<Question>, config: &ShapesConfig) -> Self {
        let answers = |question: Question| question.answers(config).into_iter().map(move |answer| (question, answer));
        Self { pairs: questions.into_iter().flat_map(answers).collect(), dealt: 0 }
    }

    /// The next pair.
    fn deal(&mut self, rng: &mut impl Rng) -> (Question, String) {
        let at = self.dealt % self.pairs.len();
        if at == 0 {
            self.pairs.shuffle(rng);
        }
        self.dealt += 1;
        self.pairs[at].clone()
    }
}
