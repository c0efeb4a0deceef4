//! A credit shaper of one's own, applied after built-in ones: `cargo run --release --example custom_shaper`.
//!
//! It checks its own result, and `cargo test` runs it.

use std::error::Error;
use std::io::Write;

use advantage::{
    Credit, CreditError, CreditShaper, Evidence, Fraction, Groups, Grpo, PerceptionGate, TokenFilter, assign,
};
use burn::tensor::{Bool, Device, Tensor};

/// Discounts credit by the distance to the end of the response, where the reward arrives.
///
/// The last token keeps its advantage; one that `k` tokens follow gets `discount^k` of it. A discount of 1 changes nothing, one
/// of 0 leaves the last token alone. Writes [`Credit::advantage`] only.
struct EndDiscount {
    discount: Fraction,
}

impl CreditShaper for EndDiscount {
    fn shape(&self, evidence: &Evidence, credit: Credit) -> Result<Credit, CreditError> {
        // On a response token: how many of its response have come so far, itself included.
        let so_far = evidence.response().clone().float().cumsum(1);
        let following = evidence.lengths() - so_far;
        let weight = following.full_like(self.discount.value()).powf(following);
        Ok(Credit { advantage: credit.advantage * weight, gate: credit.gate })
    }
}

fn rows(tensor: Tensor<2>) -> Vec<Vec<f32>> {
    let [_, width] = tensor.dims();
    tensor.into_data().iter::<f32>().collect::<Vec<_>>().chunks(width).map(<[f32]>::to_vec).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    // Two responses to one prompt, of four tokens and of three; the first is right.
    let device = Device::default();
    let response: Tensor<2, Bool> = Tensor::from_data([[true, true, true, true], [true, true, true, false]], &device);
    let evidence = Evidence::new(Tensor::from_data([1.0, 0.0], &device), Groups::new(vec![2])?, response)?
        .with_dependency(Tensor::from_data([[0.1, 0.9, 0.0, 0.4], [0.3, 0.1, 0.8, f32::NAN]], &device))?;

    let built_in: Vec<Box<dyn CreditShaper>> =
        vec![Box::new(PerceptionGate::default()), Box::new(TokenFilter::default())];
    let before = assign(&Grpo::default(), &built_in, &evidence)?;
    let mut shapers = built_in;
    shapers.push(Box::new(EndDiscount { discount: Fraction::new(0.5)? }));
    let after = assign(&Grpo::default(), &shapers, &evidence)?;

    let (before_rows, after_rows) = (rows(before.advantage), rows(after.advantage));
    let weights = [[0.125, 0.25, 0.5, 1.0], [0.25, 0.5, 1.0, 0.0]];
    let mut out = std::io::stdout().lock();
    for (row, ((before, after), weights)) in before_rows.iter().zip(&after_rows).zip(&weights).enumerate() {
        writeln!(out, "response {row}: {before:.3?} becomes {after:.3?}")?;
        for ((before, after), weight) in before.iter().zip(after).zip(weights) {
            assert!((after - before * weight).abs() < 1e-6, "{after} is not {weight} of {before}");
        }
    }
    assert!(after_rows[0][1] > 0.0 && after_rows[1][2] < 0.0, "praise stays praise and blame stays blame");
    assert_eq!(rows(after.gate), rows(before.gate), "who speaks is not this shaper's business");
    Ok(())
}
