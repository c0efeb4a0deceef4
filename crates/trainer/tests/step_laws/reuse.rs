//! Scoring without a clean pass.

use burn::module::Module as _;
use burn::tensor::Tensor;
use trainer::{Group, Scored, Scorer, TrainError, UpdateConfig, updater, vppo_paper};
use vlm_model::Precision;

use crate::batch::{Setting, by_name, relative_difference};

fn host(values: &Tensor<1>) -> Vec<f32> {
    values.to_data().iter::<f32>().collect()
}

/// The groups with log-probabilities as seen at sampling: those computed, moved by at most `gap`.
fn as_sampled(setting: &Setting, scored: &Scored, gap: f32) -> Vec<Group> {
    let rows = scored.rows.split(&host(&scored.clean.log_probs));
    let mut groups = setting.groups.clone();
    for (completion, row) in groups.iter_mut().flat_map(|group| &mut group.completions).zip(rows) {
        completion.log_probs = row.iter().enumerate().map(|(token, p)| p + gap * ((token % 3) as f32 - 1.0)).collect();
    }
    groups
}

fn score(setting: &Setting, groups: Vec<Group>, tokens_per_micro_batch: usize) -> Result<Scored, TrainError> {
    let scorer = Scorer {
        policy: &setting.policy.valid(),
        reference: None,
        metric: setting.algorithm.metric.as_deref(),
        vocabulary: &setting.vocabulary,
        processor: &setting.processor.image,
        tokens_per_micro_batch,
        seed: 5,
    };
    scorer.score_as_sampled(groups)
}

/// By the same log-probabilities all is the same to the last bit; by others, dependency and gradient move by as much.
#[test]
fn what_is_known_is_not_computed() {
    let setting = Setting::new(&UpdateConfig::default());
    for budget in [90, 100_000] {
        let computed = setting.score(budget);
        let reused = score(&setting, as_sampled(&setting, &computed, 0.0), budget).expect("k3 reads nothing else");
        assert_eq!(host(&reused.clean.log_probs), host(&computed.clean.log_probs));
        assert!(reused.as_sampled && host(&reused.clean.entropy).iter().all(|entropy| entropy.is_nan()));
        assert_eq!(reused.not_finite(), 0, "entropies do not count");
        assert_eq!(host(&reused.contrasts[0].log_probs), host(&computed.contrasts[0].log_probs));
        assert_eq!(host(&reused.contrasts[0].divergences[0]), host(&computed.contrasts[0].divergences[0]));
        let gradient = |scored: &Scored| {
            let credit = setting.credit(scored);
            let updater = updater(
                &UpdateConfig { tokens_per_micro_batch: budget, ..UpdateConfig::default() },
                Precision::Float32,
            );
            let (gradients, report) =
                updater.gradients(&setting.policy, &setting.lesson(scored, &credit)).expect("everything is known");
            (by_name(&setting.policy, Some(&gradients.clip(&setting.policy, f64::INFINITY).gradient)), report)
        };
        let ((expected, _), (found, report)) = (gradient(&computed), gradient(&reused));
        assert_eq!(found, expected);
        let recomputed = report.recomputed.expect("the update says what scoring did not");
        for (ours, theirs) in [
            (&recomputed.log_probs, host(&computed.clean.log_probs)),
            (&recomputed.entropy, host(&computed.clean.entropy)),
        ] {
            assert_eq!(ours.len(), theirs.len());
            assert!(ours.iter().zip(&theirs).all(|(a, b)| (a - b).abs() <= 3e-5), "{ours:?} and {theirs:?}");
        }

        let near = score(&setting, as_sampled(&setting, &computed, 1e-4), budget).expect("k3 reads nothing else");
        let (found, _) = gradient(&near);
        for (name, found) in &found {
            let difference = relative_difference(found, &expected[name]);
            assert!(difference <= 1e-2, "{name}: {difference:.2e}");
        }
        assert_ne!(found, expected);
    }
}

#[test]
fn what_cannot_be_known_is_an_error() {
    let mut setting = Setting::new(&UpdateConfig::default());
    let computed = setting.score(usize::MAX);
    let error = score(&setting, setting.groups.clone(), 160).expect_err("nothing was seen").to_string();
    assert!(error.contains("seen at sampling"), "{error}");
    setting.algorithm = vppo_paper().build();
    let error = score(&setting, as_sampled(&setting, &computed, 0.0), 160).expect_err("a full divergence").to_string();
    assert!(error.contains("sampled tokens alone"), "{error}");
}
