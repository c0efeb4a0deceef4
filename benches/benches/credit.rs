//! From rewards and dependency to the credit of every token, for 1 024 responses of up to 2 048 tokens, for each recipe.
//!
//! Quote a recipe's time as a multiple of `grpo`'s, which shapes nothing. The peak of memory is given as a multiple of one
//! `[responses, tokens]` tensor.

use advantage::{Evidence, Groups, assign};
use burn::tensor::{Bool, Device, Distribution, Tensor, TensorData};
use criterion::{Criterion, criterion_group, criterion_main};
use peak_alloc::PeakAlloc;
use trainer::{Algorithm, built_in};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const RESPONSES: usize = 1024;
const TOKENS: usize = 2048;
const GROUP: usize = 8;

/// Responses of every length, right and wrong ones, with dependencies as skewed as those of a model.
fn evidence(device: &Device) -> Evidence {
    device.seed(1);
    let lengths: Vec<usize> = (0..RESPONSES).map(|row| 1 + row * 613 % TOKENS).collect();
    let mask: Vec<bool> = lengths.iter().flat_map(|&length| (0..TOKENS).map(move |token| token < length)).collect();
    let rewards: Vec<f32> = (0..RESPONSES).map(|row| if row % 3 == 0 { 1.0 } else { 0.1 }).collect();
    let response = Tensor::<2, Bool>::from_data(TensorData::new(mask, [RESPONSES, TOKENS]), device);
    let uniform = || Tensor::<2>::random([RESPONSES, TOKENS], Distribution::Uniform(1e-6, 1.0), device);
    Evidence::new(
        Tensor::from_data(TensorData::new(rewards, [RESPONSES]), device),
        Groups::new(vec![GROUP; RESPONSES / GROUP]).expect("groups"),
        response,
    )
    .and_then(|evidence| evidence.with_dependency(uniform().log().neg() * uniform().powi_scalar(4)))
    .and_then(|evidence| evidence.with_entropy(uniform()))
    .expect("evidence that fits")
}

/// Assigns credit and waits for it.
fn credit(algorithm: &Algorithm, evidence: &Evidence) {
    let credit = assign(&*algorithm.estimator, &algorithm.shapers, evidence).expect("credit");
    (credit.advantage.sum() + credit.gate.sum()).into_scalar::<f32>();
}

fn credits(criterion: &mut Criterion) {
    let device = Device::default();
    let evidence = evidence(&device);
    let tensor = (RESPONSES * TOKENS * size_of::<f32>()) as f64;
    let mut group = criterion.benchmark_group("credit");
    group.sample_size(10);
    for recipe in built_in() {
        let name = recipe.name.clone();
        let algorithm = recipe.build();
        let before = MEMORY.current_usage();
        MEMORY.reset_peak_usage();
        credit(&algorithm, &evidence);
        let peak = MEMORY.peak_usage() - before;
        eprintln!("credit/{name}: peak of {:.1} tensors of {RESPONSES} x {TOKENS}", peak as f64 / tensor);
        group.bench_function(&name, |bencher| bencher.iter(|| credit(&algorithm, &evidence)));
    }
}

criterion_group!(benches, credits);
criterion_main!(benches);
