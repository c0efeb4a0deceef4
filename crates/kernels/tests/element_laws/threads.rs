//! Results do not depend on the number of threads.

use std::sync::Arc;

use crate::laws::normal;
use burn::tensor::Tensor;
use kernels::{Addends, AttentionPlan, Run};
use rayon::ThreadPoolBuilder;

/// Bits of everything that `work` returns, computed on so many threads.
fn on(threads: usize, work: impl Fn() -> Vec<Tensor<2>> + Send + Sync) -> Vec<u32> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads");
    let tensors = pool.install(&work);
    tensors.into_iter().flat_map(|x| x.into_data().iter::<f32>().map(f32::to_bits).collect::<Vec<_>>()).collect()
}

/// Output and gradients of products, normalization and gate on `rows` rows, of which the first `live` have a gradient.
fn layer(rows: usize, live: usize) -> Vec<Tensor<2>> {
    let leaf = |shape, seed| normal::<2>(shape, seed).autodiff().require_grad();
    let (x, weight, other) = (leaf([rows, 96], 1), leaf([200, 96], 2), leaf([200, 96], 3));
    let vector = |length, seed| normal::<1>([length], seed).autodiff().require_grad();
    let (scale, bias) = (vector(96, 4), vector(200, 5));
    let product = |x: &Tensor<2>, weight: &Tensor<2>, bias: Option<&Tensor<1>>| {
        kernels::linear(x.clone(), weight.clone(), Addends { bias: bias.cloned(), onto: None })
    };
    let normed = kernels::rms_norm(x.clone(), scale.clone(), 1e-6);
    let output = kernels::swiglu(product(&normed, &weight, None), product(&normed, &other, Some(&bias)));
    let output = kernels::linear(output, weight.clone().transpose(), Addends { bias: None, onto: Some(x.clone()) });
    let found = output.clone().narrow(0, 0, live).square().sum().backward();
    let mut all: Vec<Tensor<2>> = [x, weight, other].iter().map(|x| x.grad(&found).expect("a gradient")).collect();
    all.extend([scale, bias].iter().map(|x| x.grad(&found).expect("a gradient").unsqueeze()));
    all.push(output.inner());
    all
}

/// Output and gradients of attention over a context that runs share.
fn attended() -> Vec<Tensor<2>> {
    let run = |start: usize, end: usize, context| Run { tokens: start..end, causal: true, context };
    let runs = vec![run(0, 70, 0..0), run(70, 200, 0..70), run(200, 201, 0..70), run(201, 330, 0..70)];
    let plan = Arc::new(AttentionPlan::new(runs, Vec::new()));
    let leaf = |heads, seed| normal::<3>([330, heads, 16], seed).autodiff().require_grad();
    let (query, key, value) = (leaf(4, 5), leaf(2, 6), leaf(2, 7));
    let output = kernels::attention(query.clone(), key.clone(), value.clone(), &plan);
    let found = output.clone().square().sum().backward();
    let flat = |x: &Tensor<3>| x.grad(&found).expect("a gradient").reshape([330, -1]);
    vec![output.inner(), flat(&query), flat(&key), flat(&value)]
}

#[test]
fn threads_change_no_bit() {
    for rows in [1_usize, 16, 17, 25, 71, 97, 143, 144, 145, 300] {
        for live in [rows, rows.div_ceil(2), rows.div_ceil(20)] {
            let expected = on(1, || layer(rows, live));
            for threads in [2, 3, 8] {
                assert!(on(threads, || layer(rows, live)) == expected, "{rows} rows on {threads} threads, {live} live");
            }
        }
    }
    let expected = on(1, attended);
    assert!([2, 3, 8].into_iter().all(|threads| on(threads, attended) == expected), "attention");
}
