//! Layers that are computed again make the gradient that kept activations make.

use std::collections::BTreeMap;

use burn::tensor::Device;
use trainer::{Recompute, UpdateConfig, UpdateReport, updater};
use vlm_model::Precision;

use crate::batch::{Setting, by_name, relative_difference};

/// To the last bit on the CPU, where the operations are the same on the same numbers; ragged groups with and without images,
/// in one pass and in several, the vision tower trained and frozen. GPUs choose their kernels by what they measure.
#[test]
fn gradients_do_not_depend_on_what_is_kept() {
    for (freeze_vision, tokens_per_micro_batch) in [(false, usize::MAX), (false, 90), (true, 160)] {
        let update = UpdateConfig { freeze_vision, tokens_per_micro_batch, ..UpdateConfig::default() };
        let setting = Setting::new(&update);
        let batch = setting.stale();
        let credit = setting.credit(&batch);
        let run = |recompute: Recompute| -> (BTreeMap<String, Vec<f32>>, UpdateReport) {
            let lesson = setting.lesson(&batch, &credit);
            let updater = updater(&UpdateConfig { recompute, ..update }, Precision::Float32);
            let (sum, report) = updater.gradients(&setting.policy, &lesson).expect("the batch fits together");
            (by_name(&setting.policy, Some(&sum.clip(&setting.policy, f64::INFINITY).gradient)), report)
        };
        let ((kept, report), (again, other)) = (run(Recompute::Never), run(Recompute::Always));
        assert_eq!(kept.keys().collect::<Vec<_>>(), again.keys().collect::<Vec<_>>());
        assert_eq!(kept.keys().any(|name| name.starts_with("visual.")), !freeze_vision);
        let on_host = Device::default() == Device::flex();
        for (name, kept) in &kept {
            let difference = relative_difference(&again[name], kept);
            let same_bits = again[name].iter().map(|x| x.to_bits()).eq(kept.iter().map(|x| x.to_bits()));
            assert!(same_bits || !on_host, "{name} differs by {difference:.2e}");
            assert!(difference <= 1e-5, "{name} differs by {difference:.2e}");
        }
        assert!((report.policy_loss - other.policy_loss).abs() <= 1e-6, "{report:?} and {other:?}");
    }
}
