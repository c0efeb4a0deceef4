//! Divergences over a vocabulary of 151 936 outcomes, streamed from hidden states in pieces of a response.
//!
//! The peak of memory must follow the piece, not the response: it is given as a multiple of one piece's logits.

use std::num::NonZeroUsize;

use burn::tensor::{Device, Distribution, Int, Tensor};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dependency::{Divergence, ForwardKl, JensenShannon, SampledK3, in_chunks};
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const VOCABULARY: usize = 151_936;
/// Small, so that the divergence and not the projection is measured.
const WIDTH: usize = 32;

/// Hidden states of a response under two views, and the way from them to the vocabulary.
struct Response {
    clean: Tensor<2>,
    contrast: Tensor<2>,
    projection: Tensor<2>,
    sampled: Tensor<1, Int>,
}

impl Response {
    fn new(tokens: usize, device: &Device) -> Self {
        device.seed(1);
        let normal = |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), device);
        let clean = normal([tokens, WIDTH]);
        Self {
            contrast: clean.clone() + normal([tokens, WIDTH]) * 0.1,
            clean,
            projection: normal([WIDTH, VOCABULARY]),
            sampled: Tensor::arange(0..tokens as i64, device),
        }
    }

    fn diverge(&self, divergence: &dyn Divergence, chunk: NonZeroUsize) -> f32 {
        let scores = in_chunks(divergence, &self.sampled, chunk, |tokens| {
            let logits = |hidden: &Tensor<2>| hidden.clone().slice(tokens.clone()).matmul(self.projection.clone());
            (logits(&self.clean), logits(&self.contrast))
        });
        scores.sum().into_scalar()
    }
}

fn divergences(criterion: &mut Criterion) {
    let device = Device::default();
    let built_in: [(&str, &dyn Divergence); 3] =
        [("forward-kl", &ForwardKl {}), ("jensen-shannon", &JensenShannon {}), ("sampled-k3", &SampledK3::default())];
    let mut group = criterion.benchmark_group("divergence");
    group.sample_size(10);
    for (tokens, chunk) in [(64, 16), (256, 16), (256, 64), (256, 256)] {
        let response = Response::new(tokens, &device);
        let chunk = NonZeroUsize::new(chunk).expect("above zero");
        for (name, divergence) in built_in {
            let before = MEMORY.current_usage();
            MEMORY.reset_peak_usage();
            response.diverge(divergence, chunk);
            let piece = (chunk.get() * VOCABULARY * size_of::<f32>()) as f64;
            let peak = (MEMORY.peak_usage() - before) as f64;
            let megabytes = peak / f64::from(1 << 20);
            eprintln!(
                "{name}, {tokens} tokens in pieces of {chunk}: peak of {megabytes:.0} MiB, {:.1} pieces",
                peak / piece
            );
            group.throughput(Throughput::Elements(tokens as u64));
            let id = BenchmarkId::new(name, format!("{tokens} by {chunk}"));
            group.bench_function(id, |bencher| bencher.iter(|| response.diverge(divergence, chunk)));
        }
    }
}

criterion_group!(benches, divergences);
criterion_main!(benches);
