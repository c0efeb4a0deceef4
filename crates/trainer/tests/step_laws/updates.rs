//! Optimizer steps on shares, with frozen parts and with numbers that are none.

use advantage::Credit;
use burn::module::Module as _;
use burn::tensor::{Device, Tensor};
use trainer::{Scored, UpdateConfig, updater};
use vlm_model::Precision;

use crate::batch::{Setting, bits, by_name};

fn host(values: &Tensor<1>) -> Vec<f64> {
    values.to_data().iter::<f64>().collect()
}

/// Shares partition the groups in order, and everything known about their tokens goes with them.
#[test]
fn optimizer_batches_share_the_groups_out() {
    let setting = Setting::new(&UpdateConfig::default());
    let mut scored = setting.score(usize::MAX);
    // Seven groups: 4, 2, 3, 4, 2, 3 and 4 responses.
    let repeated = |x: &Tensor<1>| {
        let tail = x.clone().narrow(0, 0, 18);
        Tensor::cat(vec![x.clone(), x.clone() + 1.0, tail + 2.0], 0)
    };
    let lengths: Vec<usize> = [scored.rows.lengths(), scored.rows.lengths(), &scored.rows.lengths()[..4]].concat();
    scored.groups = (0..7).map(|index| scored.groups[index % 3].clone()).collect();
    scored.rows = trainer::Ragged::new(lengths.clone());
    scored.clean.log_probs = repeated(&scored.clean.log_probs);
    scored.clean.entropy = repeated(&scored.clean.entropy);
    scored.dependency = scored.dependency.as_ref().map(repeated);
    scored.reference = scored.reference.as_ref().map(repeated);
    for contrast in &mut scored.contrasts {
        contrast.log_probs = repeated(&contrast.log_probs);
        contrast.divergences = contrast.divergences.iter().map(repeated).collect();
    }

    for (count, expected) in [(1, vec![7]), (2, vec![3, 4]), (3, vec![2, 2, 3]), (7, vec![1; 7]), (9, vec![1; 7])] {
        let batches = scored.clone().optimizer_batches(count);
        assert_eq!(batches.iter().map(|batch| batch.groups.len()).collect::<Vec<_>>(), expected, "{count} shares");
        let joined = |of: fn(&Scored) -> Vec<f64>| batches.iter().flat_map(of).collect::<Vec<f64>>();
        assert_eq!(joined(|batch| host(&batch.clean.log_probs)), host(&scored.clean.log_probs));
        assert_eq!(joined(|batch| host(&batch.clean.entropy)), host(&scored.clean.entropy));
        let dependency = |batch: &Scored| host(batch.dependency.as_ref().expect("it was measured"));
        assert_eq!(batches.iter().flat_map(dependency).collect::<Vec<_>>(), dependency(&scored));
        let reference = |batch: &Scored| host(batch.reference.as_ref().expect("there is one"));
        assert_eq!(batches.iter().flat_map(reference).collect::<Vec<_>>(), reference(&scored));
        let contrast = |batch: &Scored| {
            let [contrast] = batch.contrasts.as_slice() else { panic!("one contrast") };
            [host(&contrast.log_probs), host(&contrast.divergences[0])]
        };
        for kind in 0..2 {
            let shares = batches.iter().flat_map(|batch| contrast(batch)[kind].clone()).collect::<Vec<_>>();
            assert_eq!(shares, contrast(&scored)[kind]);
        }
        assert_eq!(batches.iter().flat_map(|batch| batch.rows.lengths().to_vec()).collect::<Vec<_>>(), lengths);
        for batch in &batches {
            let rows = batch.rows.lengths().len();
            assert_eq!(batch.groups.iter().map(|group| group.completions.len()).sum::<usize>(), rows);
            assert_eq!(batch.evidence(None).expect("no empty group").rewards().dims(), [rows]);
        }
    }
}

/// A frozen tower keeps every bit while the rest moves.
#[test]
fn a_frozen_vision_tower_stays() {
    let update = UpdateConfig { freeze_vision: true, learning_rate: 1e-3, ..UpdateConfig::default() };
    let setting = Setting::new(&update);
    let batch = setting.stale();
    let credit = setting.credit(&batch);
    let (policy, _) = updater(&update, Precision::Float32)
        .step(setting.policy.clone(), &setting.lesson(&batch, &credit), 1e-3)
        .expect("the batch fits together");
    let (before, after) = (bits(&setting.policy), bits(&policy));
    for (name, values) in &before {
        assert_eq!(values == &after[name], name.starts_with("visual."), "{name}");
    }
}

/// One parameter that is not a number makes a gradient that is none, which is reported and left out.
#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let update = UpdateConfig::default();
    let setting = Setting::new(&update);
    let batch = setting.stale();
    let credit = setting.credit(&batch);
    let mut broken = setting.policy.valid();
    let projection = &mut broken.model.layers[1].mlp.gate_proj;
    projection.weight = projection.weight.clone().map(|weight| {
        let corner = Tensor::<2>::full([1, 1], f32::NAN, &Device::default());
        weight.slice_assign([0..1, 0..1], corner)
    });
    let broken = trainer::trainable(broken, &update);
    let before = bits(&broken);
    assert_eq!(by_name(&broken, None).values().flatten().filter(|value| value.is_nan()).count(), 1);
    let mut updater = updater(&update, Precision::Float32);
    let (broken, report) = updater.step(broken, &setting.lesson(&batch, &credit), 1e-3).expect("not an error");
    assert!(report.skipped && !report.gradient_norm.is_finite(), "{report:?}");
    assert_eq!(bits(&broken), before, "the policy is as it was");
    assert!(updater.optimizer.to_record().is_empty(), "the optimizer has seen nothing");
}

/// After a skipped step the optimizer goes on as if there had been none.
#[test]
fn a_skipped_step_leaves_no_trace() {
    let update = UpdateConfig::default();
    let setting = Setting::new(&update);
    let batch = setting.stale();
    let good = setting.credit(&batch);
    let bad = Credit { advantage: good.advantage.clone() * f32::NAN, gate: good.gate.clone() };
    let run = |credits: &[&Credit]| {
        let mut updater = updater(&update, Precision::Float32);
        credits.iter().fold((setting.policy.clone(), Vec::new()), |(policy, mut skipped), credit| {
            let (policy, report) = updater.step(policy, &setting.lesson(&batch, credit), 1e-3).expect("not an error");
            skipped.push(report.skipped);
            (policy, skipped)
        })
    };
    let ((with, skipped), (without, _)) = (run(&[&good, &bad, &good]), run(&[&good, &good]));
    assert_eq!(skipped, [false, true, false]);
    assert_eq!(bits(&with), bits(&without));
    assert_ne!(bits(&with), bits(&setting.policy));
}
