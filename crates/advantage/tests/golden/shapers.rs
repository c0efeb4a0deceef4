//! Recorded outputs of the credit shapers.

use std::num::NonZeroUsize;

use advantage::{
    AtLeastOne, Ceiling, Credit, CreditShaper, Evidence, Fraction, Groups, NonNegative, PerceptionGate,
    PerceptualReshaping, Positive, ReshapingRule, Schedule, Signal, SoftTokenFilter, Threshold, TokenFilter,
    TrajectoryShaping,
};
use burn::tensor::Tensor;
use serde_json::Value;

use crate::cases::{assert_close, for_each_case, mask, number, row, table, tensor, values};
use crate::device::device;

/// Evidence about responses to one prompt, all with an image.
fn scored(dependency: &[Vec<f64>], response: &[Vec<f64>]) -> Evidence {
    let rows = response.len();
    let response = mask(response);
    let rewards = Tensor::zeros([rows], &device());
    let groups = Groups::new(vec![rows]).expect("a group");
    Evidence::new(rewards, groups, response)
        .and_then(|evidence| evidence.with_dependency(tensor(dependency)))
        .expect("evidence that fits")
}

/// Credit of 1 for every token.
fn ones(evidence: &Evidence) -> Credit {
    let gate = evidence.response().clone().float();
    Credit { advantage: gate.clone(), gate }
}

/// What the shaper makes of credit 1 for every token, as `(advantage, gate)`.
fn shaped(shaper: &dyn CreditShaper, evidence: &Evidence) -> (Vec<f64>, Vec<f64>) {
    let credit = shaper.shape(evidence, ones(evidence)).expect("scored");
    (values(credit.advantage), values(credit.gate))
}

fn fraction(value: &Value) -> Fraction {
    Fraction::new(number(value)).expect("a share")
}

fn boost(value: &Value) -> NonNegative {
    NonNegative::new(number(value)).expect("not negative")
}

/// The same mask by whatever signal, when all signals agree.
#[test]
fn token_filter() {
    for_each_case("tgf_mask", |case, input, output| {
        let scores = table(&input["dependency"]);
        let evidence = scored(&scores, &table(&input["mask"])).with_entropy(tensor(&scores)).expect("the same shape");
        for by in [Signal::Dependency, Signal::Entropy, Signal::Either] {
            let (_, gate) = shaped(&TokenFilter { keep: fraction(&input["k"]), by }, &evidence);
            assert_eq!(gate, table(output).concat(), "{case} by {by:?}");
        }
    });
}

#[test]
fn soft_token_filter() {
    for_each_case("tgf_soft_mask", |case, input, output| {
        let evidence = scored(&table(&input["dependency"]), &table(&input["mask"]));
        let (_, gate) = shaped(&SoftTokenFilter { keep: fraction(&input["target"]) }, &evidence);
        assert_close(case, &gate, &table(output).concat());
    });
}

#[test]
fn token_filter_counts_exactly() {
    for_each_case("tgf_count", |case, input, output| {
        let length = number(&input["n"]) as usize;
        let scores: Vec<f64> = (0..length).map(|token| f64::from(token as u32 * 7 % 11)).collect();
        let evidence = scored(&[scores], &[vec![1.0; length]]);
        let filter = TokenFilter { keep: fraction(&input["k"]), ..TokenFilter::default() };
        assert_eq!(shaped(&filter, &evidence).1.iter().sum::<f64>(), number(output), "{case}");
    });
}

/// Factors that trajectory shaping gives to the rows.
fn factors(shaping: TrajectoryShaping, evidence: &Evidence) -> Vec<f64> {
    let [rows, tokens] = evidence.response().dims();
    let advantage = Tensor::ones([rows, tokens], &device());
    let credit = shaping.shape(evidence, Credit { gate: advantage.clone(), advantage }).expect("scored");
    values(credit.advantage.slice([0..rows, 0..1]))
}

/// Rows of one token, or of none where not valid, whose mean dependencies are those of the case.
fn trajectories(input: &Value) -> Evidence {
    let single = |value: &Value| row(value).into_iter().map(|value| vec![value]).collect::<Vec<_>>();
    scored(&single(&input["traj_dep"]), &single(&input["valid"]))
}

#[test]
fn trajectory_shaping_with_a_fixed_ceiling() {
    for_each_case("tas_alpha", |case, input, output| {
        let shaping = TrajectoryShaping {
            floor: fraction(&input["beta_min"]),
            ceiling: Ceiling::Fixed(AtLeastOne::new(number(&input["beta_max"])).expect("a ceiling")),
        };
        assert_close(case, &factors(shaping, &trajectories(input)), &row(output));
    });
}

/// The ceiling that the case's micro-batches ask for, or `None` if they are not runs of one length with a shorter one at the end.
fn per_micro_batch(sizes: &Value) -> Option<Ceiling> {
    let Value::Array(sizes) = sizes else { return Some(Ceiling::MeanOne) };
    let sizes: Vec<usize> = sizes.iter().map(|size| number(size) as usize).collect();
    let (last, others) = sizes.split_last().expect("at least one micro-batch");
    let run = *others.first().unwrap_or(last);
    let even = others.iter().all(|&size| size == run) && *last <= run;
    even.then(|| Ceiling::MeanOnePer(NonZeroUsize::new(run).expect("a micro-batch of some rows")))
}

#[test]
fn trajectory_shaping_with_mean_one() {
    for_each_case("tas_alpha_dynamic", |case, input, output| {
        let ceiling = per_micro_batch(&input["micro_sizes"]).expect("even micro-batches");
        let shaping = TrajectoryShaping { floor: fraction(&input["beta_min"]), ceiling };
        assert_close(case, &factors(shaping, &trajectories(input)), &row(output));
    });
}

/// The released method as a whole: which tokens are kept, and the factors of its micro-batches.
#[test]
fn trajectory_shaping_with_mean_one_per_micro_batch() {
    for_each_case("vppo_loss", |case, input, output| {
        let (mut dependency, mut mask) = (table(&output["dependency"]), table(&input["mask"]));
        if input["use_tgf"] == true {
            let filter = TokenFilter { keep: fraction(&input["k"]), ..TokenFilter::default() };
            let (_, gate) = shaped(&filter, &scored(&dependency, &mask));
            assert_eq!(gate, table(&output["select"]).concat(), "{case}");
        }
        if input["use_tas"] == true {
            let mut expected = row(&output["alpha"]);
            let floor = fraction(&input["beta_min"]);
            let ceiling = per_micro_batch(&input["micro_sizes"]).unwrap_or_else(|| {
                // The shorter micro-batch comes first: seen from the end it comes last.
                dependency.reverse();
                mask.reverse();
                expected.reverse();
                let sizes = input["micro_sizes"].as_array().expect("micro-batches");
                per_micro_batch(&sizes.iter().rev().cloned().collect()).expect("even micro-batches from the end")
            });
            assert_close(case, &factors(TrajectoryShaping { floor, ceiling }, &scored(&dependency, &mask)), &expected);
        }
    });
}

/// With factors from 0 to 1, trajectory shaping shows the mean dependency of each response as its place between the extremes.
#[test]
fn trajectory_shaping_averages_over_the_tokens_of_a_response() {
    for_each_case("trajectory_dependency", |case, input, output| {
        let mask = table(&input["mask"]);
        let means = row(output);
        let valid: Vec<bool> = mask.iter().map(|row| row.contains(&1.0)).collect();
        let taking_part = || means.iter().zip(&valid).filter(|(_, valid)| **valid).map(|(mean, _)| *mean);
        let lowest = taking_part().fold(f64::INFINITY, f64::min);
        let range = taking_part().fold(f64::NEG_INFINITY, f64::max) - lowest;
        let place = |mean: f64| if range > 1e-6 { (mean - lowest) / range } else { 1.0 };
        let expected: Vec<f64> =
            means.iter().zip(&valid).map(|(&mean, &valid)| if valid { place(mean) } else { 1.0 }).collect();
        let shaping =
            TrajectoryShaping { floor: Fraction::literal(0.0), ceiling: Ceiling::Fixed(AtLeastOne::literal(1.0)) };
        assert_close(case, &factors(shaping, &scored(&table(&input["dependency"]), &mask)), &expected);
    });
}

#[test]
fn perception_gate() {
    for_each_case("pgpo_weights", |case, input, output| {
        assert_eq!(input["compress"], true, "{case}: the component always takes the logarithm");
        let evidence = scored(&table(&input["dependency"]), &table(&input["mask"]));
        let gate = PerceptionGate {
            threshold: Threshold::Range(fraction(&input["tau"])),
            boost: boost(&input["beta"]),
            conserve_mass: input["normalize"] == true,
            ..PerceptionGate::default()
        };
        assert_close(case, &shaped(&gate, &evidence).0, &table(&output["weights"]).concat());

        // Below a threshold of 1 the weight is the rescaled score itself.
        let bare = PerceptionGate {
            threshold: Threshold::Range(Fraction::literal(1.0)),
            boost: NonNegative::literal(0.0),
            conserve_mass: false,
            ..PerceptionGate::default()
        };
        assert_close(case, &shaped(&bare, &evidence).0, &table(&output["score"]).concat());
    });
}

#[test]
fn perception_gate_in_the_released_recipe() {
    for_each_case("pgpo_loss", |case, input, output| {
        let evidence = scored(&table(&output["dependency"]), &table(&input["mask"]));
        let gate = PerceptionGate {
            threshold: Threshold::Range(fraction(&input["tau"])),
            boost: boost(&input["beta"]),
            ..PerceptionGate::default()
        };
        assert_close(case, &shaped(&gate, &evidence).0, &table(&output["weights"]).concat());
    });
}

#[test]
fn perception_gate_as_in_the_development_snapshot() {
    for_each_case("pgpo_weights_dev", |case, input, output| {
        let evidence = scored(&table(&input["dependency"]), &table(&input["mask"]));
        let gate = PerceptionGate {
            threshold: Threshold::Quantile(fraction(&input["tau"])),
            boost: boost(&input["beta"]),
            floor: fraction(&input["floor"]),
            conserve_mass: false,
            cap: None,
        };
        assert_close(case, &shaped(&gate, &evidence).0, &table(output).concat());
    });
}

/// Outputs of a reconstruction: the paper's formulas are not published.
#[test]
fn perceptual_reshaping() {
    for_each_case("par_weights", |case, input, output| {
        let evidence = scored(&table(&input["score"]), &table(&input["mask"]));
        let (threshold, boost) = (fraction(&input["tau"]), boost(&input["beta"]));
        let rule = match input["variant"].as_str().expect("a name") {
            "boost" => ReshapingRule::Boost { threshold, boost },
            "boost_mass" => ReshapingRule::BoostMass { threshold, boost },
            "topk" => ReshapingRule::TopK { share: fraction(&input["top"]), boost },
            "sigmoid" => {
                let temperature = Positive::new(number(&input["temp"])).expect("a temperature");
                ReshapingRule::Sigmoid { threshold, temperature, boost }
            }
            unknown => panic!("{unknown}"),
        };
        let reshaping = PerceptualReshaping { rule, schedule: Schedule::Constant };
        assert_close(case, &shaped(&reshaping, &evidence).0, &table(output).concat());
    });
}

#[test]
fn rising_schedule() {
    for_each_case("schedule_weight", |case, input, output| {
        let (weights, response) = (table(&input["weights"]), tensor(&table(&input["mask"])));
        let scheduled = Schedule::Rising.apply(tensor(&weights), fraction(&input["progress"])) * response;
        assert_close(case, &values(scheduled), &table(output).concat());
    });
}
