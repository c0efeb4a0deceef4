//! Dependency on a blackened image, and what VPPO makes of it.

use advantage::{Ceiling, Credit, CreditShaper, Estimator, Fraction, Grpo, TokenFilter, TrajectoryShaping};
use burn::module::Module as _;
use burn::tensor::{Int, Tensor, TensorData};
use dependency::{Divergence, ForwardKl, JensenShannon, SampledK3};
use trainer::{Algorithm, Clean, ContrastScores, Objective, UpdateConfig, ViewPair, Vocabulary, dapo};
use vlm_model::image_input::ImagePatches;
use vlm_model::{QwenVl, TokenBatch, TokenGroup};

use crate::fixtures::{
    Batch, ByName, GROUPS, Recorded, assert_close, assert_gradients, host, lesson, notes, number, updater,
};

/// Final hidden states the response tokens are predicted from, with these images in place of the prompts' own.
fn states(policy: &QwenVl, batch: &Batch, images: &[ImagePatches]) -> Tensor<2> {
    let groups = batch.groups.iter().map(|group| TokenGroup {
        prompt: Some(group.task.prompt.clone()),
        responses: group.completions.iter().map(|completion| completion.tokens.clone()).collect(),
    });
    let features = policy.image_features(&images.iter().collect::<Vec<_>>());
    let tokens = TokenBatch::new(groups.collect(), features).expect("a feature per placeholder");
    let places: Vec<i64> = tokens.predicting_places().into_iter().flatten().flatten().map(|p| p as i64).collect();
    let places = Tensor::<1, Int>::from_data(TensorData::new(places, [batch.rows.tokens()]), &policy.device());
    policy.hidden(&tokens, None).select(0, places)
}

/// Scores under the recorded blackened images: full KL, Jensen-Shannon and the k3 estimate.
fn contrast(batch: &Batch, recorded: &Recorded) -> ContrastScores {
    let policy = batch.policy.valid();
    let images: Vec<ImagePatches> = batch.groups.iter().map(|group| group.task.patches[0].clone()).collect();
    let blackened: Vec<ImagePatches> = images
        .iter()
        .zip(["pixel_values_masked_A", "pixel_values_masked_B"])
        .map(|(image, name)| ImagePatches {
            pixels: recorded.values(name).iter().map(|&x| x as f32).collect(),
            grid: image.grid,
        })
        .collect();
    let ids = batch.groups.iter().flat_map(|group| group.completions.iter().flat_map(|c| &c.tokens));
    let ids: Vec<i64> = ids.map(|&id| i64::from(id)).collect();
    let sampled = Tensor::<1, Int>::from_data(TensorData::new(ids, [batch.rows.tokens()]), &policy.device());
    let (clean, other) = (states(&policy, batch, &images), states(&policy, batch, &blackened));
    let (kl, js, k3) = (ForwardKl::default(), JensenShannon::default(), SampledK3::default());
    let divergences: [&dyn Divergence; 3] = [&kl, &js, &k3];
    let comparison = ViewPair { base: None, view: Some(other), divergences: divergences.to_vec() };
    let (_, mut scores) = Vocabulary::plain(37).compare(&policy, &Clean::States(clean), &sampled, &[comparison]);
    scores.remove(0)
}

#[test]
fn divergences_of_a_blackened_image_agree() {
    let (batch, recorded) = (Batch::load(), Recorded::open("vppo"));
    let scores = contrast(&batch, &recorded);
    let theirs = |name: &str| batch.packed(recorded.values(name));
    assert_close("log-probabilities", &host(&scores.log_probs), &theirs("logprobs_masked"), 3e-5);
    let names = ["kl_full_orig_to_masked", "js", "k3_estimate"];
    for (divergence, name) in scores.divergences.iter().zip(names) {
        assert_close(name, &host(divergence), &theirs(name), 3e-5);
    }
}

/// Token filter, trajectory shaping, loss and gradients for both measures of dependency, in passes of a few rows: factors
/// are taken over the whole batch.
#[test]
fn credit_loss_and_gradients_agree() {
    let (batch, recorded, notes) = (Batch::load(), Recorded::open("vppo"), notes("vppo"));
    let mut divergences = contrast(&batch, &recorded).divergences.into_iter();
    let (kl, k3) = (divergences.next().expect("full KL"), divergences.nth(1).expect("k3"));
    for (name, dependency) in [("full_kl", kl), ("k3", k3)] {
        let per_row = batch.rows.split(&host(&dependency));
        let means: Vec<f64> = per_row.iter().map(|row| row.iter().sum::<f64>() / row.len() as f64).collect();
        let theirs = |what: &str| recorded.values(&format!("{name}/{what}"));
        assert_close(&format!("{name}: mean dependency"), &means, theirs("sensitivity"), 3e-5);

        let scored = batch.scored("logprobs_t1.0", Some(dependency));
        let evidence = scored.evidence(None).expect("no empty group");
        let floor = Fraction::new(0.9).expect("a fraction");
        let shapers: [Box<dyn CreditShaper>; 2] = [
            Box::new(TrajectoryShaping { floor, ceiling: Ceiling::MeanOne }),
            Box::new(TokenFilter { keep: Fraction::new(0.4).expect("a fraction"), ..TokenFilter::default() }),
        ];
        let estimator = Estimator::Grpo(Grpo::default());
        let credit = advantage::assign(&estimator, &shapers, &evidence).expect("evidence with dependency");
        assert_eq!(host(&credit.gate), theirs("top40_mask"), "{name}: tokens that speak");
        let factors = factors(&batch, &credit);
        assert_close(&format!("{name}: factors of the advantages"), &factors, theirs("advantage_scale"), 1e-4);

        let objective = Objective { entropy_penalty: 0.0, ..dapo().objective };
        let algorithm = Algorithm { objective, ..dapo().build() };
        let (gradients, report) = updater(UpdateConfig::default(), 110)
            .gradients(&batch.policy, &lesson(&scored, &credit, &algorithm, &Vocabulary::plain(23)))
            .expect("the batch fits together");
        let expected = &notes[name];
        let loss = number(&expected["loss_on_policy_hi0.28"]);
        assert_close(&format!("{name}: loss"), &[report.policy_loss], &[loss], 1e-5);
        let clipped = gradients.clip(&batch.policy, f64::INFINITY);
        let norm = number(&expected["grad_global_norm"]);
        assert_close(&format!("{name}: gradient norm over all"), &[clipped.norm / norm], &[1.0], 1e-4);
        let ours = ByName::gradients(&batch.policy, &clipped.gradient);
        assert_gradients(name, &ours, recorded.under(&format!("{name}/grad/")));
    }
}

/// What trajectory shaping multiplied each row's advantage with.
fn factors(batch: &Batch, credit: &Credit) -> Vec<f64> {
    let plain = batch.recorded.values("advantages/grpo_std_ddof1_eps1e-6");
    let shaped = host(&credit.advantage.clone().narrow(1, 0, 1));
    assert_eq!(plain.len(), 4 * GROUPS.len());
    assert!(plain.iter().all(|advantage| advantage.abs() > 0.1), "every advantage says something about its factor");
    shaped.iter().zip(plain).map(|(shaped, plain)| shaped / plain).collect()
}
