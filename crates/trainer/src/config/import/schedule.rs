//! The section `trainer`.

use std::path::Path;

use dataset::{Dataset, DatasetConfig, Selection};

use super::Fate;
use super::conversion::Conversion;
use super::data::Batch;
use crate::TrainError;

/// Problems of data sets that configurations are published for.
///
/// # Source
/// VPPO, arXiv:2510.09285: 38,870 problems of ViRL39K, in the copies of VPPO and PAPO.
const PUBLISHED: [(&str, usize); 2] =
    [("chamber111/VPPO_ViRL39K_train", 38_870), ("PAPOGalaxy/PAPO_ViRL39K_train", 38_870)];

/// Rounds that stand for any number.
const ANY_NUMBER: i64 = 1000;

/// Converts the section. `problems` is the number of training problems, if it is known.
pub(super) fn convert(of: &mut Conversion, batch: &Batch, problems: Option<usize>) -> Result<(), TrainError> {
    let steps = steps(of, batch, problems)?;
    warmup(of, steps)?;
    output(of)?;
    let many = steps.unwrap_or(ANY_NUMBER);

    let save = of.count("trainer.save_freq", -1)?;
    of.convert(&save, "schedule.save_every", if save.value > 0 { save.value } else { many });
    let keep = of.count("trainer.save_limit", -1)?;
    of.convert(&keep, "schedule.keep", if keep.value > 0 { keep.value } else { many });
    let validate = of.count("trainer.val_freq", -1)?;
    of.convert(&validate, "schedule.validate_every", validate.value.max(0));
    for (key, why) in [
        ("trainer.val_before_train", "`sightline eval --config` measures the model before it is trained"),
        ("trainer.val_only", "`sightline eval --config` measures without training"),
        ("trainer.save_model_only", "a checkpoint holds the optimizer, too"),
    ] {
        let flag = of.flag(key, false)?;
        if flag.value { of.let_go(&flag, why) } else { of.imply(&flag, why) }
    }

    let devices = of.count("trainer.n_gpus_per_node", 8)?;
    of.set("device", "cuda:0");
    match devices.value {
        1 => of.put_in_others(&devices, "device = \"cuda:0\""),
        _ => of.let_go(&devices, "a run takes one device: device = \"cuda:0\""),
    }
    let nodes = of.count("trainer.nnodes", 1)?;
    if nodes.value == 1 {
        of.imply(&nodes, "one machine");
    } else {
        of.let_go(&nodes, "a run takes one machine");
    }
    let from = of.optional_text("trainer.load_checkpoint_path")?;
    match &from.value {
        Some(_) => of.lose(&from, "a run starts from `model`, or goes on with what its folder holds"),
        None => of.imply(&from, "a run starts from `model`, or goes on with what its folder holds"),
    }
    let implied = |why: &str| Fate::Implied { why: why.to_owned() };
    of.account_for(&["trainer.find_last_checkpoint"], &implied("the same command goes on with a run"));
    of.account_for(&["trainer.critic_warmup"], &implied("no critic is trained"));
    of.account_for(&["trainer.ray_timeline"], &implied("every step's timings are in the metrics"));
    of.account_for(&["trainer.val_generations_to_log"], &implied("all responses can be recorded"));
    of.account_for(
        &["trainer.logger"],
        &Fate::Lost { why: "metrics go to the console and to files in the run's folder".to_owned(), matters: false },
    );
    Ok(())
}

/// Steps of the run: given, or as many as the epochs make.
fn steps(of: &mut Conversion, batch: &Batch, problems: Option<usize>) -> Result<Option<i64>, TrainError> {
    let most = of.optional_count("trainer.max_steps")?;
    let mut epochs = of.count("trainer.total_epochs", 15)?;
    if !epochs.given {
        let older = of.count("trainer.total_episodes", 15)?;
        if older.given {
            epochs = older;
        }
    }
    if let Some(steps) = most.value {
        of.convert(&most, "schedule.steps", steps);
        of.imply(&epochs, "trainer.max_steps is set");
        return Ok(Some(steps));
    }
    of.imply(&most, "epochs are counted");
    let train = of.setting("data.train");
    let Some(problems) = problems.or_else(|| count(&train)) else {
        of.lose(
            &epochs,
            "how many steps these are depends on the number of training problems; give it as --problems, or set schedule.steps",
        );
        return Ok(None);
    };
    let per_epoch = (problems / batch.prompts.max(1)) as i64;
    let steps = per_epoch.saturating_mul(epochs.value);
    of.convert(&epochs, "schedule.steps", steps);
    Ok(Some(steps))
}

/// The number of problems of a data set, if it lies on a local path or is known.
fn count(train: &[String]) -> Option<usize> {
    let files: Selection = train.iter().cloned().collect();
    let there = train.iter().all(|part| Path::new(Selection::path_and_split(part).0).exists());
    if there && !train.is_empty() {
        return Dataset::open(&DatasetConfig { files, ..DatasetConfig::default() }).ok().map(|dataset| dataset.len());
    }
    let known = |part: &String| {
        let (name, _) = Selection::path_and_split(part);
        PUBLISHED.iter().find(|(published, _)| *published == name).map(|(_, problems)| *problems)
    };
    if train.is_empty() { None } else { train.iter().map(known).sum() }
}

fn warmup(of: &mut Conversion, steps: Option<i64>) -> Result<(), TrainError> {
    let given = of.optional_count("worker.actor.optim.lr_warmup_steps")?;
    let ratio = of.number("worker.actor.optim.lr_warmup_ratio", 0.0)?;
    match (given.value, steps) {
        (Some(warmup), _) => {
            of.convert(&given, "update.warmup_steps", warmup);
            of.imply(&ratio, "lr_warmup_steps is set");
        }
        (None, Some(steps)) => {
            of.convert(&ratio, "update.warmup_steps", (ratio.value * steps as f64) as i64);
            of.imply(&given, "lr_warmup_ratio counts");
        }
        (None, None) if ratio.value == 0.0 => {
            of.convert(&ratio, "update.warmup_steps", 0);
            of.imply(&given, "lr_warmup_ratio counts");
        }
        (None, None) => of.lose(&ratio, "the number of steps is not known; set update.warmup_steps"),
    }
    Ok(())
}

fn output(of: &mut Conversion) -> Result<(), TrainError> {
    let path = of.optional_text("trainer.save_checkpoint_path")?;
    let project = of.text("trainer.project_name", "easy_r1")?;
    let experiment = of.text("trainer.experiment_name", "demo")?;
    match path.value.clone() {
        Some(folder) => {
            of.convert(&path, "output", folder);
            of.let_go(&project, "the run is called by its folder");
            of.let_go(&experiment, "the run is called by its folder");
        }
        None => {
            let folder = format!("checkpoints/{}/{}", project.value, experiment.value);
            let to = format!("output = \"{folder}\"");
            of.put_in_others(&project, &to);
            of.put_in_others(&experiment, &to);
            of.imply(&path, "made of project and experiment");
            of.set("output", folder);
        }
    }
    Ok(())
}
