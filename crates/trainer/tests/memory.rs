//! What an update takes of memory, counted by the allocator.

use std::path::PathBuf;

use advantage::Credit;
use burn::module::Module as _;
use burn::tensor::Device;
use dataset::{At, ImageSource, Place, Problem};
use peak_alloc::PeakAlloc;
use reward::Verdict;
use rollout::{Completion, Finish};
use trainer::{
    Algorithm, DataConfig, Group, Lesson, Recompute, Scored, Scorer, UpdateConfig, Vocabulary, dapo, updater,
};
use vlm_model::processor::Processor;
use vlm_model::{Precision, QwenVl};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes taken at the most while `f` runs, beyond those held before.
fn peak<R>(f: impl FnOnce() -> R) -> (usize, R) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let result = f();
    (ALLOCATOR.peak_usage() - before, result)
}

/// A group whose tokens take far more memory than the model: a picture, a long question and four long answers.
fn group(policy: &QwenVl, processor: &Processor) -> Group {
    let picture = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/image/files/model_A.png");
    let problem = Problem {
        problem: format!("<image>{}", "Find x in the figure. ".repeat(40)),
        system: None,
        images: vec![ImageSource::File(PathBuf::from(picture))],
        answer: "4".to_owned(),
        teacher: None,
        category: None,
        place: Place { file: PathBuf::new(), at: At::Line(1) },
    };
    let data = DataConfig { max_prompt_tokens: 4000, ..DataConfig::default() };
    let task = trainer::prepare(&problem, processor, &policy.config, &data).expect("a valid problem");
    let features = policy.valid().image_features(&task.patches.iter().collect::<Vec<_>>());
    let response = |r: u32| Completion {
        tokens: (0..300).map(|t| (t * 7 + r * 13) % 1900).collect(),
        log_probs: Vec::new(),
        finish: Finish::Stop,
    };
    let verdict = |r: u32| Verdict { overall: (r % 2) as f32, accuracy: (r % 2) as f32, parts: Vec::new() };
    Group {
        task,
        features,
        completions: (0..4).map(response).collect(),
        texts: vec![String::new(); 4],
        verdicts: (0..4).map(verdict).collect(),
        asked: 0,
        ungraded: 0,
    }
}

/// Recomputing layers spares most of what a pass keeps, and a step of the optimizer takes no memory of its own. One test,
/// since the allocator counts for the whole process.
#[test]
fn peaks_of_an_update() {
    if Device::default() != Device::flex() {
        return;
    }
    let folder =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/checkpoints/tiny-tied-f32-saved"));
    let model = vlm_model::load(&folder, &Device::default().autodiff()).expect("the checkpoint loads");
    let update = UpdateConfig { tokens_per_micro_batch: usize::MAX, ..UpdateConfig::default() };
    let policy = trainer::trainable(model, &update);
    let processor = Processor::from_folder(&folder).expect("the checkpoint has a processor");
    let vocabulary = Vocabulary::plain(64);
    let algorithm: Algorithm = dapo().build();
    let scorer = Scorer {
        policy: &policy.valid(),
        reference: None,
        metric: None,
        vocabulary: &vocabulary,
        processor: &processor.image,
        tokens_per_micro_batch: usize::MAX,
        seed: 0,
    };
    let batch: Scored = scorer.score(vec![group(&policy, &processor)]).expect("the group can be scored");
    let evidence = batch.evidence(None).expect("no empty group");
    let credit: Credit =
        advantage::assign(&*algorithm.estimator, &algorithm.shapers, &evidence).expect("rewards are there");
    let (algorithm, vocabulary) = (&algorithm, &vocabulary);
    let lesson = Lesson { batch: &batch, credit: &credit, algorithm, vocabulary, reference: None, max_new_tokens: 300 };
    let gradients = |recompute| {
        let updater = updater(&UpdateConfig { recompute, ..update }, Precision::Float32);
        peak(|| updater.gradients(&policy, &lesson).expect("the batch fits together"))
    };
    let (kept, _) = gradients(Recompute::Never);
    let (again, (sum, _)) = gradients(Recompute::Always);
    let weights = 4 * policy.num_params();
    eprintln!("weights {weights}, peak of a pass that keeps {kept}, of one that computes again {again}");
    assert!(kept > 8 * weights, "activations outweigh the model: {kept} beside {weights}");
    assert!(2 * again < kept, "computing again takes {again} of {kept}");

    let mut updater = updater(&update, Precision::Float32);
    let (_, (policy, _)) = peak(|| updater.step(policy, &lesson, 1e-3).expect("the batch fits together"));
    let clipped = sum.clip(&policy, 1.0);
    let (stepped, _) = peak(|| updater.optimizer.step(1e-3, policy, clipped.gradient));
    eprintln!("peak of a step of the optimizer {stepped}");
    assert!(10 * stepped < weights, "a step takes {stepped} bytes beside weights of {weights}");
}
