//! The section `worker`, but for the reward and what makes up the algorithm.

use super::Fate;
use super::conversion::{Conversion, Taken};
use super::data::Batch;
use crate::TrainError;

/// Converts the section.
pub(super) fn convert(of: &mut Conversion, batch: &Batch) -> Result<(), TrainError> {
    sampling(of)?;
    validation(of)?;
    model(of)?;
    batches(of, batch)?;
    optimizer(of)?;
    precision(of)?;
    let memory = |why: &str| Fate::Lost { why: why.to_owned(), matters: false };
    for section in ["worker.actor.fsdp", "worker.actor.offload", "worker.ref"] {
        of.account_for_section(section, &memory("one device holds everything, parameters and moments in f32"));
    }
    of.account_for_section("worker.critic", &Fate::Implied { why: "no critic is trained".to_owned() });
    of.account_for(
        &[
            "worker.actor.strategy",
            "worker.actor.use_torch_compile",
            "worker.hybrid_engine",
            "worker.actor.dynamic_batching",
        ],
        &Fate::Implied { why: "one program samples and trains on one device, with as many tokens as fit".to_owned() },
    );
    Ok(())
}

fn sampling(of: &mut Conversion) -> Result<(), TrainError> {
    let responses = of.count("worker.rollout.n", 1)?;
    of.convert(&responses, "rollout.responses", responses.value);
    let temperature = of.number("worker.rollout.temperature", 1.0)?;
    of.convert(&temperature, "rollout.sampling.temperature", temperature.value);
    let top_p = of.number("worker.rollout.top_p", 1.0)?;
    of.convert(&top_p, "rollout.sampling.top_p", top_p.value);
    let top_k = of.count("worker.rollout.top_k", -1)?;
    of.convert(&top_k, "rollout.sampling.top_k", top_k.value.max(0));
    for (key, ours) in [
        ("worker.rollout.val_override_config.temperature", temperature.value),
        ("worker.rollout.val_override_config.top_p", top_p.value),
        ("worker.rollout.val_override_config.top_k", top_k.value as f64),
    ] {
        let held_out = of.number(key, ours)?;
        if held_out.value == ours {
            of.imply(&held_out, "validation samples as training does");
        } else {
            of.lose(&held_out, "validation samples as training does; `sightline eval` measures with other settings");
        }
    }
    let eos = of.flag("worker.rollout.ignore_eos", false)?;
    if eos.value {
        of.lose(&eos, "a response ends at the end-of-turn token");
    } else {
        of.imply(&eos, "a response ends at the end-of-turn token");
    }
    let engine = "there is no second engine to configure: the trained model samples";
    of.account_for(
        &[
            "worker.rollout.name",
            "worker.rollout.gpu_memory_utilization",
            "worker.rollout.enforce_eager",
            "worker.rollout.enable_chunked_prefill",
            "worker.rollout.max_model_len",
            "worker.rollout.max_num_batched_tokens",
            "worker.rollout.disable_log_stats",
            "worker.rollout.disable_tqdm",
            "worker.rollout.trust_remote_code",
        ],
        &Fate::Implied { why: engine.to_owned() },
    );
    let images = "a problem has as many images as it has";
    of.account_for(&["worker.rollout.limit_images"], &Fate::Implied { why: images.to_owned() });
    let seeds = "every draw comes from `seed`";
    of.account_for(&["worker.rollout.seed"], &Fate::Implied { why: seeds.to_owned() });
    one(of, "worker.rollout.tensor_parallel_size", "the model is not split over devices")
}

/// What layers compute in: FSDP's mixed precision, by default of bf16, over parameters that are rounded only if they say so.
fn precision(of: &mut Conversion) -> Result<(), TrainError> {
    let named = |name: &str| match name {
        "bf16" | "bfloat16" => Some("bf16"),
        "fp32" | "float32" => Some("f32"),
        _ => None,
    };
    let trained = of.text("worker.actor.fsdp.mp_param_dtype", "bf16")?;
    let precision = named(&trained.value);
    match precision {
        Some(precision) => of.convert(&trained, "precision", precision),
        None => of.lose(&trained, "layers compute in f32 or bf16; set precision"),
    }
    let sampled = of.text("worker.rollout.dtype", "bf16")?;
    if named(&sampled.value) == precision {
        of.imply(&sampled, "sampling computes in the precision that training does");
    } else {
        of.lose(&sampled, "sampling computes in the precision that training does; set precision");
    }
    Ok(())
}

fn validation(of: &mut Conversion) -> Result<(), TrainError> {
    let samples = of.count("worker.rollout.val_override_config.n", 1)?;
    of.convert(&samples, "schedule.validation_samples", samples.value);
    Ok(())
}

fn model(of: &mut Conversion) -> Result<(), TrainError> {
    let path = of.text("worker.actor.model.model_path", "")?;
    of.convert(&path, "model", path.value.clone());
    let tokenizer = of.optional_text("worker.actor.model.tokenizer_path")?;
    match &tokenizer.value {
        Some(other) if *other != path.value => of.lose(&tokenizer, "the tokenizer is the one in the model's folder"),
        _ => of.imply(&tokenizer, "the tokenizer is the one in the model's folder"),
    }
    let freeze = of.flag("worker.actor.model.freeze_vision_tower", false)?;
    of.convert(&freeze, "update.freeze_vision", freeze.value);
    let remote = "no code is taken from a checkpoint";
    of.account_for(&["worker.actor.model.trust_remote_code"], &Fate::Implied { why: remote.to_owned() });
    let checkpointing = of.flag("worker.actor.model.enable_gradient_checkpointing", true)?;
    of.convert(&checkpointing, "update.recompute", if checkpointing.value { "auto" } else { "never" });
    let rank = of.count("worker.actor.model.lora.rank", 0)?;
    if rank.value > 0 {
        of.lose(&rank, "low-rank adapters are not trained; all parameters are");
    } else {
        of.imply(&rank, "all parameters are trained");
    }
    of.account_for_section("worker.actor.model.lora", &Fate::Implied { why: "goes with lora.rank".to_owned() });
    let overridden = "the model's shape is what its config.json says";
    of.account_for_section(
        "worker.actor.model.override_config",
        &Fate::Lost { why: overridden.to_owned(), matters: true },
    );
    Ok(())
}

fn batches(of: &mut Conversion, batch: &Batch) -> Result<(), TrainError> {
    let update = of.count("worker.actor.global_batch_size", 256)?;
    let size = usize::try_from(update.value).unwrap_or(0).max(1);
    let updates = batch.prompts / size;
    if updates > 0 && batch.prompts.is_multiple_of(size) {
        of.convert(&update, "update.updates_per_step", updates as i64);
    } else {
        let why = format!("the {} problems of a step do not divide into batches of {size}", batch.prompts);
        of.lose(&update, &format!("{why}; set update.updates_per_step"));
        of.set("update.updates_per_step", updates.max(1) as i64);
    }
    let rows = of.count("worker.actor.micro_batch_size_per_device_for_update", 4)?;
    let tokens = rows.value.max(1).saturating_mul((batch.prompt_tokens + batch.response_tokens).max(1) as i64);
    of.convert(&rows, "update.tokens_per_micro_batch", tokens);
    let scoring = "scoring is cut by update.tokens_per_micro_batch, too";
    of.account_for(
        &["worker.actor.micro_batch_size_per_device_for_experience"],
        &Fate::Implied { why: scoring.to_owned() },
    );
    let norm = of.number("worker.actor.max_grad_norm", 1.0)?;
    of.convert(&norm, "update.max_gradient_norm", norm.value);
    let epochs = of.count("worker.actor.ppo_epochs", 1)?;
    if epochs.value == 1 {
        of.imply(&epochs, "every response is learned from once");
    } else {
        of.lose(&epochs, "every response is learned from once");
    }
    let packed = of.flag("worker.actor.padding_free", true)?;
    of.imply(&packed, "tokens are always packed without padding");
    // Newer and older name.
    one(of, "worker.actor.ulysses_size", "sequences are not split over devices")?;
    one(of, "worker.actor.ulysses_sequence_parallel_size", "sequences are not split over devices")
}

fn optimizer(of: &mut Conversion) -> Result<(), TrainError> {
    let rate = of.number("worker.actor.optim.lr", 1e-6)?;
    of.convert(&rate, "update.learning_rate", rate.value);
    let decay = of.number("worker.actor.optim.weight_decay", 0.01)?;
    of.convert(&decay, "update.weight_decay", decay.value);
    let betas = of.pair("worker.actor.optim.betas", [0.9, 0.999])?;
    let [first, second] = betas.value;
    of.put_in_others(&betas, &format!("update.beta_1 = {first}, update.beta_2 = {second}"));
    of.set("update.beta_1", first);
    of.set("update.beta_2", second);
    let strategy = of.text("worker.actor.optim.strategy", "adamw")?;
    match strategy.value.as_str() {
        "adamw" => of.imply(&strategy, "AdamW"),
        "adamw_bf16" => {
            of.imply(&strategy, "AdamW; weights and moments are f32, so there is no rounding to make up for");
        }
        _ => of.lose(&strategy, "the optimizer is AdamW"),
    }
    // Newer and older name.
    for key in ["worker.actor.optim.lr_scheduler_type", "worker.actor.optim.warmup_style"] {
        let schedule = of.text(key, "constant")?;
        if schedule.value == "constant" {
            of.imply(&schedule, "the learning rate is constant after the warm-up");
        } else {
            of.lose(&schedule, "the learning rate is constant after the warm-up");
        }
    }
    let least = of.number("worker.actor.optim.min_lr_ratio", 0.0)?;
    of.imply(&least, "goes with a falling learning rate");
    Ok(())
}

/// Accounts for a number of devices that must be 1 here.
fn one(of: &mut Conversion, key: &'static str, why: &str) -> Result<(), TrainError> {
    let devices: Taken<i64> = of.count(key, 1)?;
    if devices.value == 1 {
        of.imply(&devices, why);
    } else {
        of.let_go(&devices, why);
    }
    Ok(())
}
