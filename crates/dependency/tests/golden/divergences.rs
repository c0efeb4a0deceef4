//! Recorded divergences.

use burn::tensor::{Int, Tensor, TensorData};
use dependency::{Divergence, Positive, SampledK3, entropy, forward_kl, jensen_shannon};

use crate::cases::{assert_close, for_each_case, row, table, tensor, values};
use crate::device::device;

#[test]
fn divergences_over_the_vocabulary() {
    for_each_case("divergence_full", |case, input, output| {
        let (clean, contrast) = (tensor(&input["logits_p"]), tensor(&input["logits_q"]));
        assert_close(case, &values(entropy(clean.clone())), &row(&output["entropy_p"]));
        assert_close(case, &values(forward_kl(clean.clone(), contrast.clone())), &row(&output["kl"]));
        assert_close(case, &values(jensen_shannon(clean, contrast)), &row(&output["js"]));
    });
}

/// Against a uniform prediction, k3 of the sampled token is a function of its recorded log-probability.
#[test]
fn log_probability_of_the_sampled_token() {
    for_each_case("token_logprob", |case, input, output| {
        let clean = tensor(&input["logits"]);
        let [tokens, vocabulary] = clean.dims();
        let sampled = row(&input["ids"]);
        let sampled = Tensor::<1, Int>::from_data(TensorData::new(sampled, [tokens]), &device());
        let expected: Vec<f64> = row(output)
            .iter()
            .map(|log_prob| {
                let difference = -(vocabulary as f64).ln() - log_prob;
                (difference.exp_m1() - difference).min(10.0)
            })
            .collect();
        let found = SampledK3::default().per_token(clean.clone(), clean.zeros_like(), sampled);
        assert_close(case, &values(found), &expected);
    });
}

#[test]
fn k3() {
    for_each_case("kl_estimate", |case, input, output| {
        let limit = input["diff_clamp"].as_f64().unwrap_or(80.0);
        let estimate = SampledK3 {
            difference_clamp: Positive::new(limit).expect("a limit"),
            cap: Positive::literal(f32::MAX as f64),
        };
        let found = estimate.between(tensor(&input["logp"]), tensor(&input["logq"]));
        assert_close(case, &values(found), &table(output).concat());
    });
}
