//! What makes up the algorithm: the section `algorithm`, and the loss settings of `worker.actor`.

use std::num::NonZeroU32;

use advantage::{
    Estimator, Fraction, Grpo, NonNegative, PassAtK, ReinforcePlusPlus, Rloo, Shaper, Signal, TokenFilter,
    TrajectoryShaping,
};
use dependency::{
    BuiltInDivergence, BuiltInPerturbation, Contrast, Metric, PatchBlackout, SampledK3, Unknown, VisualDependency,
};

use super::Fate;
use super::conversion::Conversion;
use crate::TrainError;
use crate::loss::{
    BuiltInLoss, Cispo, ClipRange, ClippedSurrogate, Gspo, ImplicitPerception, KlEstimator, Objective, Reduction,
    ReferenceKl,
};
use crate::recipe::{AccuracyBand, Recipe};

/// Converts what makes up the algorithm into a recipe without a name. The form has `format_weight` in the reward.
pub(super) fn convert(of: &mut Conversion, format_weight: f64) -> Result<Recipe, TrainError> {
    let estimator = estimator(of)?;
    let loss = loss(of)?;
    let reduction = reduction(of)?;
    let (reference_kl, reward_kl) = divergence(of)?;
    let accuracy_band = band(of, format_weight)?;
    let vppo = vppo(of)?;
    let papo = papo(of)?;
    let penalty = penalty(of)?;
    let blackout = vppo.needs_dependency.then(PatchBlackout::default).or(papo.blackout);
    let dependency = blackout.map(|blackout| {
        let divergence = BuiltInDivergence::SampledK3(SampledK3::default());
        let contrast = Contrast::new("blackout", BuiltInPerturbation::PatchBlackout(blackout), divergence);
        Metric::VisualDependency(VisualDependency { contrast, unknown: Unknown::Keep })
    });
    Ok(Recipe {
        name: String::new(),
        caveat: None,
        estimator,
        dependency,
        shapers: vppo.shapers,
        loss,
        objective: Objective {
            reduction,
            entropy_penalty: penalty,
            reference_kl,
            perception: papo.perception,
            ..Objective::default()
        },
        accuracy_band,
        reward_kl,
        overlong_filter: false,
    })
}

fn estimator(of: &mut Conversion) -> Result<Estimator, TrainError> {
    let name = of.text("algorithm.adv_estimator", "grpo")?;
    let discount = of.number("algorithm.gamma", 1.0)?;
    of.account_for(&["algorithm.lam"], &Fate::Implied { why: "goes with a critic".to_owned() });
    let estimator = match name.value.as_str() {
        "grpo" => Estimator::Grpo(Grpo::default()),
        "rloo" => Estimator::Rloo(Rloo::default()),
        "grpo_passk" => Estimator::PassAtK(PassAtK::default()),
        "reinforce_plus_plus" => {
            of.put_in_recipe(&discount, &format!("estimator.discount = {}", discount.value));
            Estimator::ReinforcePlusPlus(ReinforcePlusPlus { discount: Fraction::new(discount.value)? })
        }
        _ => {
            of.lose(
                &name,
                "estimators that need a critic or a greedy response are not there; grpo stands in its place",
            );
            of.imply(&discount, "goes with a critic");
            return Ok(Estimator::Grpo(Grpo::default()));
        }
    };
    if !matches!(estimator, Estimator::ReinforcePlusPlus(_)) {
        of.imply(&discount, "a response is rewarded as a whole");
    }
    of.put_in_recipe(&name, &format!("estimator, {}", name.value));
    Ok(estimator)
}

fn loss(of: &mut Conversion) -> Result<BuiltInLoss, TrainError> {
    let kind = of.text("worker.actor.loss_type", "default")?;
    let low = of.number("worker.actor.clip_ratio_low", 0.2)?;
    let high = of.number("worker.actor.clip_ratio_high", 0.3)?;
    let dual = of.number("worker.actor.clip_ratio_dual", 3.0)?;
    let soft = "goes with the loss sapo";
    of.account_for(
        &["worker.actor.tau_positive", "worker.actor.tau_negative"],
        &Fate::Implied { why: soft.to_owned() },
    );
    let (place, is_known, loss) = match kind.value.as_str() {
        "gspo" | "gspo_token" => {
            let clip = ClipRange::new(low.value, high.value)?;
            ("loss.clip.", true, BuiltInLoss::Gspo(Gspo { clip, token_level: kind.value == "gspo_token" }))
        }
        "cispo" => {
            let (low, high) = (Fraction::new(low.value)?, NonNegative::new(high.value)?);
            ("loss.", true, BuiltInLoss::Cispo(Cispo { low, high }))
        }
        other => {
            let clip = ClipRange::new(low.value, high.value)?;
            let surrogate = ClippedSurrogate { clip, dual: Some(dual.value) };
            ("loss.clip.", other == "default", BuiltInLoss::ClippedSurrogate(surrogate))
        }
    };
    if is_known {
        of.put_in_recipe(&kind, &format!("loss, {}", kind.value));
    } else {
        of.lose(&kind, "there is no such loss; the clipped surrogate stands in its place");
    }
    of.put_in_recipe(&low, &format!("{place}low = {}", low.value));
    of.put_in_recipe(&high, &format!("{place}high = {}", high.value));
    match loss {
        BuiltInLoss::ClippedSurrogate(_) => of.put_in_recipe(&dual, &format!("loss.dual = {}", dual.value)),
        _ => of.imply(&dual, "goes with the clipped surrogate"),
    }
    Ok(loss)
}

fn reduction(of: &mut Conversion) -> Result<Reduction, TrainError> {
    let mode = of.text("worker.actor.loss_avg_mode", "token")?;
    let (reduction, name) = match mode.value.as_str() {
        "token" => (Reduction::TokenMean, "token-mean"),
        "seq" => (Reduction::SequenceMean, "sequence-mean"),
        _ => {
            of.lose(&mode, "there is no such average; token-mean stands in its place");
            return Ok(Reduction::TokenMean);
        }
    };
    of.put_in_recipe(&mode, &format!("objective.reduction = \"{name}\""));
    Ok(reduction)
}

/// The reference policy's pull, in the loss or in the rewards.
fn divergence(of: &mut Conversion) -> Result<(Option<ReferenceKl>, Option<ReferenceKl>), TrainError> {
    let disabled = of.flag("algorithm.disable_kl", false)?;
    let in_loss = of.flag("algorithm.use_kl_loss", false)?;
    let penalty = of.text("algorithm.kl_penalty", "kl")?;
    let coefficient = of.number("algorithm.kl_coef", 1e-3)?;
    let control = of.text("algorithm.kl_type", "fixed")?;
    let horizon = ["algorithm.kl_horizon", "algorithm.kl_target"];
    of.account_for(&horizon, &Fate::Implied { why: "goes with kl_type adaptive".to_owned() });
    if disabled.value {
        of.put_in_recipe(&disabled, "neither objective.reference_kl nor reward_kl");
        for taken in [&penalty, &control] {
            of.imply(taken, "disable_kl is set");
        }
        of.imply(&in_loss, "disable_kl is set");
        of.imply(&coefficient, "disable_kl is set");
        return Ok((None, None));
    }
    of.imply(&disabled, "there is a reference policy");
    let estimator = match penalty.value.as_str() {
        "kl" => Some(KlEstimator::K1),
        "mse" => Some(KlEstimator::K2),
        "low_var_kl" => Some(KlEstimator::K3),
        "full" if in_loss.value => Some(KlEstimator::Full),
        _ => None,
    };
    if control.value == "fixed" {
        of.imply(&control, "the coefficient is constant");
    } else {
        of.lose(&control, "the coefficient is constant");
    }
    let place = if in_loss.value { "objective.reference_kl" } else { "reward_kl" };
    of.put_in_recipe(&in_loss, place);
    let Some(estimator) = estimator else {
        of.lose(&penalty, "there is no such estimate here; no reference policy pulls");
        of.lose(&coefficient, "goes with kl_penalty");
        return Ok((None, None));
    };
    of.put_in_recipe(&penalty, &format!("{place}.estimator = {}", name_of(estimator)));
    of.put_in_recipe(&coefficient, &format!("{place}.coefficient = {}", coefficient.value));
    let pull = (coefficient.value != 0.0).then_some(ReferenceKl { estimator, coefficient: coefficient.value });
    Ok(if in_loss.value { (pull, None) } else { (None, pull) })
}

fn name_of(estimator: KlEstimator) -> String {
    serde_json::to_string(&estimator).unwrap_or_default()
}

fn band(of: &mut Conversion, format_weight: f64) -> Result<Option<AccuracyBand>, TrainError> {
    let on = of.flag("algorithm.online_filtering", false)?;
    let key = of.text("algorithm.filter_key", "overall")?;
    let low = of.number("algorithm.filter_low", 0.01)?;
    let high = of.number("algorithm.filter_high", 0.99)?;
    let rounds = of.count("trainer.max_try_make_batch", 20)?;
    if !on.value {
        of.imply(&on, "groups of every outcome are trained on");
        of.imply(&key, "online_filtering is off");
        of.imply(&low, "online_filtering is off");
        of.imply(&high, "online_filtering is off");
        of.imply(&rounds, "online_filtering is off");
        return Ok(None);
    }
    of.put_in_recipe(&on, "accuracy_band");
    of.put_in_recipe(&low, &format!("accuracy_band.low = {}", low.value));
    of.put_in_recipe(&high, &format!("accuracy_band.high = {}", high.value));
    match key.value.as_str() {
        "accuracy" => of.put_in_recipe(&key, "accuracy_band"),
        "overall" if format_weight == 0.0 => of.put_in_recipe(&key, "accuracy_band: all that is paid for is accuracy"),
        _ => of.lose(&key, "groups are admitted by their accuracy"),
    }
    // Theirs fails when the rounds run out, ours goes on with what there is.
    of.convert(&rounds, "rollout.max_rounds", if rounds.value > 0 { rounds.value } else { 1000 });
    Ok(Some(AccuracyBand { low: low.value, high: high.value }))
}

/// What VPPO adds.
struct Vppo {
    shapers: Vec<Shaper>,
    needs_dependency: bool,
}

fn vppo(of: &mut Conversion) -> Result<Vppo, TrainError> {
    let by_image = of.flag("algorithm.use_vppo_on_perception", false)?;
    let image_share = of.number("algorithm.top_p_perception_tokens", 0.2)?;
    let by_entropy = of.flag("algorithm.use_vppo_on_entropy", false)?;
    let entropy_share = of.number("algorithm.top_p_entropy_tokens", 0.2)?;
    let shaping = of.flag("algorithm.use_advantage_shaping", false)?;
    let floor = of.number("algorithm.advantage_scaling_min", 0.8)?;
    let mut shapers = Vec::new();
    if shaping.value && by_image.value {
        of.put_in_recipe(&shaping, "shapers: trajectory-shaping, over the optimizer batch and not a micro-batch");
        of.put_in_recipe(&floor, &format!("shapers: trajectory-shaping.floor = {}", floor.value));
        let floor = Fraction::new(floor.value)?;
        shapers.push(Shaper::TrajectoryShaping(TrajectoryShaping { floor, ..TrajectoryShaping::default() }));
    } else {
        of.imply(&shaping, "does nothing without use_vppo_on_perception");
        of.imply(&floor, "goes with use_advantage_shaping");
    }
    let differ = image_share.value != entropy_share.value;
    let (keep, by) = match (by_image.value, by_entropy.value) {
        (false, false) => (None, Signal::Dependency),
        (true, false) => (Some(image_share.value), Signal::Dependency),
        (false, true) => (Some(entropy_share.value), Signal::Entropy),
        (true, true) => (Some(image_share.value), Signal::Either),
    };
    for (flag, share, signal) in [(&by_image, &image_share, "dependency"), (&by_entropy, &entropy_share, "entropy")] {
        if !flag.value {
            of.imply(flag, "tokens are not filtered by it");
            of.imply(share, "goes with the flag beside it");
        } else if by == Signal::Either && differ && signal == "entropy" {
            of.put_in_recipe(flag, "shapers: token-filter.by = \"either\"");
            of.lose(share, "one share for both signals: that of top_p_perception_tokens");
        } else {
            of.put_in_recipe(flag, &format!("shapers: token-filter, {signal}"));
            of.put_in_recipe(share, &format!("shapers: token-filter.keep = {}", share.value));
        }
    }
    if let Some(keep) = keep {
        shapers.push(Shaper::TokenFilter(TokenFilter { keep: Fraction::new(keep)?, by }));
    }
    Ok(Vppo { shapers, needs_dependency: by_image.value })
}

/// What PAPO adds.
struct Papo {
    perception: Option<ImplicitPerception>,
    blackout: Option<PatchBlackout>,
}

fn papo(of: &mut Conversion) -> Result<Papo, TrainError> {
    let on = of.flag("algorithm.use_kl_prcp", false)?;
    let kind = of.text("algorithm.contrastive_type", "augmented")?;
    let penalty = of.text("algorithm.kl_prcp_penalty", "low_var_kl")?;
    let coefficient = of.number("algorithm.kl_prcp_coef", 0.01)?;
    let schedule = of.text("algorithm.kl_prcp_schedule", "constant")?;
    let patch = of.count("algorithm.aug_config.patch_size", 14)?;
    let probability = of.number("algorithm.aug_config.black_prob", 0.6)?;
    let masked = of.flag("algorithm.use_aug_entropy_loss", false)?;
    let masked_coefficient = of.number("algorithm.aug_entropy_loss_coef", 0.03)?;
    if !on.value {
        for flag in [&on, &masked] {
            of.imply(flag, "no perception term");
        }
        for text in [&kind, &penalty, &schedule] {
            of.imply(text, "goes with use_kl_prcp");
        }
        of.imply(&patch, "goes with use_kl_prcp");
        for number in [&coefficient, &probability, &masked_coefficient] {
            of.imply(number, "goes with use_kl_prcp");
        }
        return Ok(Papo { perception: None, blackout: None });
    }
    of.put_in_recipe(&on, "objective.perception");
    of.put_in_recipe(&coefficient, &format!("objective.perception.coefficient = {}", coefficient.value));
    for (text, only) in [(&kind, "augmented"), (&penalty, "low_var_kl"), (&schedule, "constant")] {
        if text.value == only || text.value == "none" {
            of.imply(text, "as in objective.perception");
        } else {
            of.lose(text, &format!("objective.perception is {only}"));
        }
    }
    of.put_in_recipe(&patch, &format!("dependency: patch-blackout.patch = {}", patch.value));
    of.put_in_recipe(&probability, &format!("dependency: patch-blackout.probability = {}", probability.value));
    of.put_in_recipe(&masked, "objective.perception.masked_entropy");
    let masked_entropy = if masked.value { masked_coefficient.value } else { 0.0 };
    if masked.value {
        of.put_in_recipe(&masked_coefficient, &format!("objective.perception.masked_entropy = {masked_entropy}"));
    } else {
        of.imply(&masked_coefficient, "goes with use_aug_entropy_loss");
    }
    let side = u32::try_from(patch.value).ok().and_then(NonZeroU32::new);
    let patch = side.ok_or_else(|| TrainError::Config {
        place: patch.key.to_owned(),
        reason: format!("it is {}; use a number of pixels of at least 1", patch.value),
    })?;
    let perception = ImplicitPerception {
        coefficient: NonNegative::new(coefficient.value)?,
        masked_entropy: NonNegative::new(masked_entropy)?,
    };
    let probability = dependency::Fraction::new(probability.value)?;
    Ok(Papo { perception: Some(perception), blackout: Some(PatchBlackout { patch, probability }) })
}

/// The factor of the sampled tokens' negative log-probability: VPPO's entropy penalty, or the half of PAPO's double entropy on the
/// image as it is.
fn penalty(of: &mut Conversion) -> Result<f64, TrainError> {
    let pairs = [
        ("algorithm.use_entropy_penalty", "algorithm.entropy_penalty_coef", 0.06),
        ("algorithm.use_ori_entropy_loss", "algorithm.ori_entropy_loss_coef", 0.03),
    ];
    let mut sum = 0.0;
    for (flag, coefficient, default) in pairs {
        let (flag, coefficient) = (of.flag(flag, false)?, of.number(coefficient, default)?);
        if flag.value {
            sum += coefficient.value;
            of.put_in_recipe(&flag, "objective.entropy_penalty");
            of.put_in_recipe(&coefficient, &format!("objective.entropy_penalty = {}", coefficient.value));
        } else {
            of.imply(&flag, "no such term");
            of.imply(&coefficient, "goes with the flag beside it");
        }
    }
    Ok(sum)
}
