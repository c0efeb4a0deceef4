//! Recorded divergences.

use burn::tensor::{Int, Tensor, TensorData};
use dependency::{
    Divergence, Positive, SampledAbsolute, SampledK1, SampledK2, SampledK3, entropy, forward_kl, jensen_shannon,
};

use crate::cases::{assert_close, for_each_case, number, row, table, tensor, values};
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
fn estimates_from_the_sampled_token() {
    for_each_case("kl_estimate", |case, input, output| {
        let (clean, contrast) = (tensor(&input["logp"]), tensor(&input["logq"]));
        let cap = input["out_clamp"].as_array().map(|range| {
            assert_eq!(number(&range[0]), -number(&range[1]), "{case}");
            Positive::new(number(&range[1])).expect("a cap")
        });
        let found = match input["kind"].as_str() {
            Some("k1") => SampledK1 { cap }.between(clean, contrast),
            Some("k2") => SampledK2 { cap }.between(clean, contrast),
            Some("abs") => SampledAbsolute { cap }.between(clean, contrast),
            Some("k3") => {
                let limit = input["diff_clamp"].as_f64().unwrap_or(80.0);
                let difference_clamp = Positive::new(limit).expect("a limit");
                let cap = cap.unwrap_or(Positive::literal(f32::MAX as f64));
                SampledK3 { difference_clamp, cap }.between(clean, contrast)
            }
            other => panic!("{case}: unknown kind {other:?}"),
        };
        assert_close(case, &values(found), &table(output).concat());
    });
}
