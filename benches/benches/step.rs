//! Wall time of a whole training step on the demonstration's model, untrained, for each recipe.
//!
//! The ratio between recipes is the figure to quote; absolute times depend on the machine.

use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use dataset::shapes::{ShapesConfig, write};
use trainer::{TrainConfig, Trainer, demo};

fn trainer(folder: &Path, recipe: &str) -> Trainer {
    let files = write(&ShapesConfig { train: 64, held_out: 1, ..ShapesConfig::default() }, folder).expect("problems");
    demo::untrained(&folder.join("model"), 1, &burn::tensor::Device::default()).expect("a model");
    let text = format!(
        "model = {:?}\noutput = {:?}\nrecipe = {recipe:?}\n[data]\ntrain = {:?}\n[rollout]\nprompts_per_step = 8\n\
         responses = 8\nmax_rounds = 1\nsampling = {{ max_new_tokens = 32 }}\n",
        folder.join("model"),
        folder.join(recipe),
        files.train
    );
    let path = folder.join(format!("{recipe}.toml"));
    std::fs::write(&path, text).expect("written");
    let mut trainer = Trainer::start(TrainConfig::read(&path, &[]).expect("valid")).expect("starts");
    // An untrained policy is never right; without the band every recipe trains on the same groups.
    trainer.algorithm.accuracy_band = None;
    trainer
}

fn steps(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut group = criterion.benchmark_group("step");
    group.sample_size(10);
    for recipe in ["grpo", "dapo", "vppo"] {
        let mut trainer = trainer(folder.path(), recipe);
        group.bench_function(recipe, |bencher| bencher.iter(|| trainer.step().expect("a step")));
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
