//! Three ragged groups: a picture, no picture, two pictures.

use std::collections::BTreeMap;
use std::path::PathBuf;

use advantage::Credit;
use burn::module::{Module as _, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor, TensorData};
use dataset::{At, ImageSource, Place, Problem, Template};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use reward::Verdict;
use rollout::{Completion, Finish};
use trainer::{Algorithm, DataConfig, Group, Lesson, Scored, Scorer, TokenScores, UpdateConfig, Vocabulary, vppo};
use vlm_model::QwenVl;
use vlm_model::image_input::ImagePatches;
use vlm_model::processor::Processor;

/// Lengths of each group's responses, and what they earned.
const RESPONSES: [&[(usize, f32)]; 3] =
    [&[(5, 1.0), (1, 0.0), (9, 0.0), (3, 1.0)], &[(4, 1.0), (7, 0.0)], &[(6, 0.0), (0, 1.0), (2, 1.0)]];

pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures"))
}

fn checkpoint() -> PathBuf {
    fixtures().join("checkpoints/tiny-tied-f32-saved")
}

/// What the tests act on.
pub(crate) struct Setting {
    /// On a device with autodiff.
    pub(crate) policy: QwenVl,
    pub(crate) processor: Processor,
    pub(crate) algorithm: Algorithm,
    pub(crate) groups: Vec<Group>,
    pub(crate) vocabulary: Vocabulary,
}

impl Setting {
    pub(crate) fn new(update: &UpdateConfig) -> Self {
        let model = vlm_model::load(&checkpoint(), &Device::default().autodiff()).expect("the checkpoint loads");
        let policy = trainer::trainable(model, update);
        let processor = Processor::from_folder(&checkpoint()).expect("the checkpoint has a processor");
        let config = &policy.config;
        let vocabulary =
            Vocabulary::sampled(0.9, 11, config.text.vocab_size, &config.tokens.prompt_only(), &Device::default());
        let groups = groups(&policy, &processor);
        Self { algorithm: vppo().build(), policy, processor, groups, vocabulary }
    }

    /// All groups scored, in passes of the given size, with the policy itself as the reference.
    pub(crate) fn score(&self, tokens_per_micro_batch: usize) -> Scored {
        self.score_against(&self.policy.valid(), tokens_per_micro_batch)
    }

    /// All groups scored, with a reference of its own.
    pub(crate) fn score_against(&self, reference: &QwenVl, tokens_per_micro_batch: usize) -> Scored {
        let scorer = Scorer {
            policy: &self.policy.valid(),
            reference: Some(reference),
            metric: self.algorithm.metric.as_deref(),
            vocabulary: &self.vocabulary,
            processor: &self.processor.image,
            tokens_per_micro_batch,
            seed: 5,
        };
        scorer.score(self.groups.clone()).expect("the groups can be scored")
    }

    /// The scored groups as of a policy that has since moved, so that some ratios are clipped.
    pub(crate) fn stale(&self) -> Scored {
        let scored = self.score(usize::MAX);
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let moved: Vec<f32> = (0..scored.rows.tokens()).map(|_| random.random_range(-0.6..0.6)).collect();
        let moved = Tensor::<1>::from_data(TensorData::new(moved, [scored.rows.tokens()]), &Device::default());
        let TokenScores { log_probs, entropy } = scored.clean.clone();
        Scored { clean: TokenScores { log_probs: log_probs + moved, entropy }, ..scored }
    }

    /// What an optimizer step under the setting's recipe learns from.
    pub(crate) const fn lesson<'a>(&'a self, batch: &'a Scored, credit: &'a Credit) -> Lesson<'a> {
        Lesson {
            batch,
            credit,
            algorithm: &self.algorithm,
            vocabulary: &self.vocabulary,
            reference: None,
            max_new_tokens: 9,
        }
    }

    pub(crate) fn credit(&self, scored: &Scored) -> Credit {
        let evidence = scored.evidence(None).expect("no empty group");
        advantage::assign(&*self.algorithm.estimator, &self.algorithm.shapers, &evidence)
            .expect("dependency is measured")
    }
}

fn groups(policy: &QwenVl, processor: &Processor) -> Vec<Group> {
    let template = Template::new("{{ content }}\n\nAnswer in one word.").expect("a template");
    let data = DataConfig { template, max_prompt_tokens: 400, ..DataConfig::default() };
    let problems: [(&str, &[&str]); 3] = [
        ("<image>Find x in the figure.", &["model_A.png"]),
        ("What is 2 + 2?", &[]),
        ("<image>Are these alike?<image>", &["rgba_90x70.png", "l_64x64.png"]),
    ];
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut group = |(text, images): (&str, &[&str]), responses: &[(usize, f32)]| {
        let problem = Problem {
            problem: text.to_owned(),
            system: None,
            images: images.iter().map(|name| ImageSource::File(fixtures().join("image/files").join(name))).collect(),
            answer: "4".to_owned(),
            teacher: None,
            category: None,
            place: Place { file: PathBuf::new(), at: At::Line(1) },
        };
        let task = trainer::prepare(&problem, processor, &policy.config, &data).expect("a valid problem");
        let patches: Vec<&ImagePatches> = task.patches.iter().collect();
        let features = policy.valid().image_features(&patches);
        let completion = |&(length, _): &(usize, f32)| Completion {
            tokens: (0..length).map(|_| random.random_range(0..2000)).collect(),
            log_probs: Vec::new(),
            finish: Finish::Stop,
        };
        let completions = responses.iter().map(completion).collect();
        let verdict = |&(_, overall): &(usize, f32)| Verdict { overall, accuracy: overall, parts: Vec::new() };
        let verdicts = responses.iter().map(verdict).collect();
        Group {
            task,
            features,
            completions,
            texts: vec![String::new(); responses.len()],
            verdicts,
            asked: 0,
            ungraded: 0,
        }
    };
    problems.into_iter().zip(RESPONSES).map(|(problem, responses)| group(problem, responses)).collect()
}

/// Parameters, or their gradients, by Hub name.
pub(crate) fn by_name(model: &QwenVl, gradients: Option<&GradientsParams>) -> BTreeMap<String, Vec<f32>> {
    struct ByName<'a> {
        gradients: Option<&'a GradientsParams>,
        path: Vec<String>,
        found: BTreeMap<String, Vec<f32>>,
    }
    impl ModuleVisitor for ByName<'_> {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = match self.gradients {
                Some(gradients) => gradients.get::<D>(param.id),
                None => Some(param.val()),
            };
            if let Some(value) = value {
                self.found.insert(self.path.join("."), value.into_data().iter::<f32>().collect());
            }
        }
    }
    let mut visitor = ByName { gradients, path: Vec::new(), found: BTreeMap::new() };
    model.visit(&mut visitor);
    visitor.found
}

/// Norm of the difference over the norm of the reference.
pub(crate) fn relative_difference(ours: &[f32], theirs: &[f32]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut ours.iter().zip(theirs).map(|(&a, &b)| f64::from(a) - f64::from(b)));
    difference / norm(&mut theirs.iter().map(|&x| f64::from(x))).max(1e-30)
}

/// The bits of every parameter, which tell NaN from NaN.
pub(crate) fn bits(model: &QwenVl) -> BTreeMap<String, Vec<u32>> {
    by_name(model, None)
        .into_iter()
        .map(|(name, values)| (name, values.into_iter().map(f32::to_bits).collect()))
        .collect()
}
