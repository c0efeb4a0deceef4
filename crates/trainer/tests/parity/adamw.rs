//! Three optimizer steps.

use std::collections::BTreeMap;

use advantage::Credit;
use burn::module::{Module as _, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn_pack::Reader;
use trainer::{Algorithm, Objective, UpdateConfig, Updater, Vocabulary, dapo};
use vlm_model::QwenVl;

use crate::fixtures::{Batch, ByName, Recorded, assert_close, lesson, notes, number, relative_difference, updater};

/// Three steps on the mean negative log-likelihood: the objective's likelihood term alone, with every gate closed.
///
/// Parameters are compared by the relative difference of their values (1e-4) and, more sharply, of the way they went (5e-4).
/// Adam divides each element's gradient by its own size, so an element whose gradient is no larger than its rounding error
/// may go anywhere. A bias of the keys moves all of a query's scores nearly alike and has hardly a gradient, hence 1e-2 for it.
/// Moments are sums of gradients, of which the later ones are taken where the parameters have come to, so the first differs as
/// the way does and the second, a sum of squares, by twice that: 5e-4 and 1e-3, of which processors whose vectors are of another
/// width use 1.4e-4. burn computes 1 − 0.999 in f32, which is off by 4.7e-5. Losses follow the parameters: 1e-4, relative.
#[test]
fn three_steps_agree() {
    let (batch, recorded, notes) = (Batch::load(), Recorded::open("adamw"), notes("adamw"));
    let mut scored = batch.scored("old_logprobs", None);
    scored.reference = None;
    let silent = scored.rows.pad(scored.clean.log_probs.zeros_like());
    let credit = Credit { advantage: silent.clone(), gate: silent };
    let objective = Objective { entropy_penalty: 1.0, ..dapo().objective };
    let algorithm = Algorithm { objective, ..dapo().build() };
    let mut updater = updater(UpdateConfig { learning_rate: number(&notes["lr"]), ..UpdateConfig::default() }, 200);
    let vocabulary = Vocabulary::plain(64);
    let lesson = lesson(&scored, &credit, &algorithm, &vocabulary);
    let start = ByName::parameters(&batch.policy);

    let mut policy = batch.policy.clone();
    for (index, expected) in notes["steps"].as_array().expect("a list").iter().enumerate() {
        let (next, report) = updater.step(policy, &lesson, 1e-3).expect("the batch fits together");
        policy = next;
        assert_eq!((report.policy_loss, report.skipped), (0.0, false), "every gate is closed");
        let (loss, norm) = (number(&expected["loss_before"]), number(&expected["global_norm_before_clip"]));
        assert_close(&format!("loss before step {}", index + 1), &[report.entropy_proxy], &[loss], 1e-4 * loss);
        let what = format!("gradient norm of step {}, relative", index + 1);
        assert_close(&what, &[report.gradient_norm / norm], &[1.0], 1e-4);
        compare_parameters(&recorded, &format!("step{}/", index + 1), &start, &ByName::parameters(&policy));
    }
    let (_, report) = updater.gradients(&policy, &lesson).expect("the batch fits together");
    let loss = number(&notes["loss_after_3"]);
    assert_close("loss after step 3", &[report.entropy_proxy], &[loss], 1e-4 * loss);
    compare_moments(&recorded, &updater, &policy);
}

fn compare_parameters(
    recorded: &Recorded,
    prefix: &str,
    start: &BTreeMap<String, Vec<f64>>,
    ours: &BTreeMap<String, Vec<f64>>,
) {
    for (name, theirs) in recorded.under(prefix) {
        let value = relative_difference(&ours[name], theirs);
        let way = |end: &[f64]| -> Vec<f64> { end.iter().zip(&start[name]).map(|(end, start)| end - start).collect() };
        let way = relative_difference(&way(&ours[name]), &way(theirs));
        eprintln!("{prefix}{name}: relative difference {value:.2e}, of the way {way:.2e}");
        // A shift of all keys changes no attention but through the rotation, so the gradient of their bias is next to nothing
        // and mostly rounding, which AdamW takes to full size.
        let (of_value, of_way) = if name.ends_with("k_proj.bias") { (2e-4, 1e-2) } else { (1e-4, 5e-4) };
        assert!(value <= of_value, "{prefix}{name} differs by {value:.2e} (relative)");
        assert!(way <= of_way, "{prefix}{name} went another way by {way:.2e} (relative)");
    }
}

fn compare_moments(recorded: &Recorded, updater: &Updater, policy: &QwenVl) {
    let ids = Ids::of(policy);
    for (moment, prefix, tolerance) in [("moment_1", "exp_avg/", 5e-4), ("moment_2", "exp_avg_sq/", 1e-3)] {
        let mut compared = 0;
        for (name, theirs) in recorded.under(prefix) {
            // Opened anew for every tensor, as a reader gives its tensors away.
            let bytes = updater.optimizer.into_bytes().expect("the state serializes");
            let reader = Reader::from_bytes(bytes).expect("the optimizer's own format");
            let bytes = reader.tensor_data(&format!("{}.momentum.{moment}", ids[name])).expect("a moment");
            let ours: Vec<f64> = bytes.as_chunks().0.iter().map(|&raw| f64::from(f32::from_le_bytes(raw))).collect();
            let error = relative_difference(&ours, theirs);
            eprintln!("{prefix}{name}: relative difference {error:.2e}");
            assert!(error <= tolerance, "{prefix}{name} differs by {error:.2e} (relative)");
            compared += 1;
        }
        assert_eq!(compared, 2);
    }
}

/// Parameter identities by Hub name.
#[derive(Default)]
struct Ids {
    path: Vec<String>,
    found: BTreeMap<String, u64>,
}

impl Ids {
    fn of(model: &QwenVl) -> BTreeMap<String, u64> {
        let mut visitor = Self::default();
        model.visit(&mut visitor);
        visitor.found
    }
}

impl ModuleVisitor for Ids {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }
    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.insert(self.path.join("."), param.id.val());
    }
}
