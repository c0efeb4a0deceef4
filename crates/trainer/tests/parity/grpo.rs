//! The clipped surrogate with its reductions, and the reference KL.

use advantage::{Credit, Estimator, Grpo};
use trainer::{
    Algorithm, ClipRange, ClippedSurrogate, KlEstimator, Objective, Reduction, ReferenceKl, UpdateConfig, Vocabulary,
    grpo,
};

use crate::fixtures::{Batch, ByName, Recorded, assert_close, assert_gradients, lesson, norm, notes, number, updater};

fn surrogate(high: f64, dual: Option<f64>, reduction: Reduction) -> Algorithm {
    let clip = ClipRange::new(0.2, high).expect("a valid range");
    let objective = Objective { reduction, ..Objective::default() };
    Algorithm { loss: Box::new(ClippedSurrogate { clip, dual }), objective, ..grpo().build() }
}

/// Group-normalized advantages, which the recording has too.
fn credit(batch: &Batch) -> Credit {
    let scored = batch.scored("old_logprobs", None);
    let evidence = scored.evidence(None).expect("no empty group");
    let credit = advantage::assign(&Estimator::Grpo(Grpo::default()), &[], &evidence).expect("two groups of four");
    let first_tokens: Vec<f64> = credit.advantage.clone().narrow(1, 0, 1).into_data().iter::<f64>().collect();
    let recorded = batch.recorded.values("advantages/grpo_std_ddof1_eps1e-6");
    assert_close("group-normalized advantages", &first_tokens, recorded, 1e-6);
    credit
}

/// Loss, all gradient norms and some gradients of four variants, each cut into passes in another way.
#[test]
fn clipped_surrogates_agree() {
    let batch = Batch::load();
    let credit = credit(&batch);
    let scored = batch.scored("old_logprobs", None);
    let (losses, recorded) = (notes("grpo"), Recorded::open("grpo"));
    let cases = [
        ("grpo_token", surrogate(0.2, Some(3.0), Reduction::TokenMean), usize::MAX, true),
        ("grpo_seq", surrogate(0.2, Some(3.0), Reduction::SequenceMean), 150, true),
        ("dapo_token_0.28", surrogate(0.28, Some(3.0), Reduction::TokenMean), 100, false),
        ("no_dual", surrogate(0.2, None, Reduction::TokenMean), 1, false),
    ];
    for (name, algorithm, tokens, has_gradients) in cases {
        let updater = updater(UpdateConfig::default(), tokens);
        let (gradients, report) = updater
            .gradients(&batch.policy, &lesson(&scored, &credit, &algorithm, &Vocabulary::plain(50)))
            .expect("the batch fits together");
        let expected = &losses["losses"][name];
        assert_close(&format!("{name}: loss"), &[report.policy_loss], &[number(&expected["loss"])], 1e-5);

        let clipped = gradients.clip(&batch.policy, f64::INFINITY);
        let global = number(&expected["grad_global_norm"]);
        assert_close(&format!("{name}: gradient norm over all"), &[clipped.norm / global], &[1.0], 1e-4);
        let ours = ByName::gradients(&batch.policy, &clipped.gradient);
        let norms = expected["grad_norm"].as_object().expect("norms by name");
        assert_eq!(ours.len(), norms.len(), "every parameter has a gradient");
        for (parameter, expected) in norms {
            let (ours, expected) = (norm(&ours[parameter]), number(expected));
            assert!((ours - expected).abs() <= 1e-4 * expected, "{name}: {parameter} {ours}, recorded {expected}");
        }
        if has_gradients {
            assert_gradients(name, &ours, recorded.under(&format!("{name}/")));
        }
    }
}

/// Clipping scales the gradient of all parameters together, to exactly the limit.
#[test]
fn the_global_norm_is_clipped() {
    let batch = Batch::load();
    let credit = credit(&batch);
    let scored = batch.scored("old_logprobs", None);
    let algorithm = surrogate(0.2, Some(3.0), Reduction::TokenMean);
    let clipped = |limit: f64| {
        let (gradients, _) = updater(UpdateConfig::default(), usize::MAX)
            .gradients(&batch.policy, &lesson(&scored, &credit, &algorithm, &Vocabulary::plain(1024)))
            .expect("the batch fits together");
        gradients.clip(&batch.policy, limit)
    };
    let (whole, half) = (clipped(f64::INFINITY), clipped(4.0));
    let recorded = number(&notes("grpo")["losses"]["grpo_token"]["grad_global_norm"]);
    assert!((whole.norm - recorded).abs() <= 1e-4 * recorded && whole.norm == half.norm, "the norm before clipping");
    let whole_by_name = ByName::gradients(&batch.policy, &whole.gradient);
    let scale = 4.0 / whole.norm;
    for (name, values) in ByName::gradients(&batch.policy, &half.gradient) {
        for (clipped, whole) in values.iter().zip(&whole_by_name[&name]) {
            assert!((clipped - scale * whole).abs() <= 1e-6 * whole.abs() + 1e-12, "{name}: {clipped} of {whole}");
        }
    }
}

/// Surrogate plus 0.01 · k3 − 0.001 · entropy of the whole distributions.
#[test]
fn reference_kl_agrees() {
    let batch = Batch::load();
    let credit = credit(&batch);
    let scored = batch.scored("old_logprobs", None);
    let batch_notes = notes("rl_batch");
    let expected = &notes("grpo")["losses"]["grpo_token_kl3_0.01_entropy_0.001"];
    for (estimator, recorded) in
        [(KlEstimator::K1, "kl(k1)"), (KlEstimator::K2, "mse(k2)"), (KlEstimator::K3, "low_var_kl(k3)")]
    {
        for (reduction, means) in [(Reduction::TokenMean, "kl_token_mean"), (Reduction::SequenceMean, "kl_seq_mean")] {
            let reference_kl = Some(ReferenceKl { estimator, coefficient: 0.01 });
            let plain = surrogate(0.2, Some(3.0), reduction);
            let algorithm =
                Algorithm { objective: Objective { reference_kl, entropy_bonus: 0.001, ..plain.objective }, ..plain };
            let (gradients, report) = updater(UpdateConfig::default(), 120)
                .gradients(&batch.policy, &lesson(&scored, &credit, &algorithm, &Vocabulary::plain(64)))
                .expect("the batch fits together");
            let value = number(&batch_notes[means][recorded]);
            assert_close(&format!("{means} {recorded}"), &[report.reference_kl], &[value], 1e-5);
            if estimator != KlEstimator::K3 || reduction != Reduction::TokenMean {
                continue;
            }
            let entropy = number(&batch_notes["entropy_token_mean"]);
            assert_close("mean entropy", &[report.entropy], &[entropy], 1e-5);
            let total = report.policy_loss + 0.01 * report.reference_kl - 0.001 * report.entropy;
            assert_close("loss with k3 and entropy", &[total], &[number(&expected["loss"])], 1e-5);
            let clipped = gradients.clip(&batch.policy, f64::INFINITY);
            let global = number(&expected["grad_global_norm"]);
            assert_close("k3 and entropy: gradient norm over all", &[clipped.norm / global], &[1.0], 1e-4);
            let ours = ByName::gradients(&batch.policy, &clipped.gradient);
            assert_gradients("k3 and entropy", &ours, Recorded::open("grpo").under("grpo_token_kl3_entropy/"));
        }
    }
}
