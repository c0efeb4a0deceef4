//! The section `data`.

use std::path::Path;

use dataset::Template;
use toml::{Table, Value};

use super::Fate;
use super::conversion::Conversion;
use crate::TrainError;

/// What other sections need to know of the data.
pub(super) struct Batch {
    /// Problems of a rollout batch.
    pub(super) prompts: usize,
    /// Most tokens of a prompt.
    pub(super) prompt_tokens: usize,
    /// Most tokens of a response.
    pub(super) response_tokens: usize,
}

/// Converts the section.
pub(super) fn convert(of: &mut Conversion) -> Result<Batch, TrainError> {
    let train = of.texts("data.train_files")?;
    of.convert(&train, "data.train", selection(&train.value));
    let held_out = of.texts("data.val_files")?;
    if held_out.value.is_empty() {
        of.imply(&held_out, "no validation");
    } else {
        of.convert(&held_out, "data.held_out", selection(&held_out.value));
    }
    layout(of)?;
    template(of)?;

    let folder = of.optional_text("data.image_dir")?;
    match folder.value.clone() {
        Some(path) => of.convert(&folder, "data.image_folder", path),
        None => of.imply(&folder, "relative paths start at the data file"),
    }
    let prompt = of.count("data.max_prompt_length", 512)?;
    of.convert(&prompt, "data.max_prompt_tokens", prompt.value);
    let response = of.count("data.max_response_length", 512)?;
    of.convert(&response, "rollout.sampling.max_new_tokens", response.value);
    for (key, ours, default) in
        [("data.min_pixels", "data.min_pixels", 262_144), ("data.max_pixels", "data.max_pixels", 4_194_304)]
    {
        let pixels = of.count(key, default)?;
        of.convert(&pixels, ours, pixels.value);
    }
    let seed = of.count("data.seed", 1)?;
    of.convert(&seed, "seed", seed.value);
    let prompts = of.count("data.rollout_batch_size", 512)?;
    of.convert(&prompts, "rollout.prompts_per_step", prompts.value);
    let mini = of.optional_count("data.mini_rollout_batch_size")?;
    match mini.value {
        Some(size) if size != prompts.value => {
            of.let_go(&mini, "a round of sampling asks for as many problems as a step");
        }
        _ => of.imply(&mini, "a round of sampling asks for as many problems as a step"),
    }

    let shuffle = of.flag("data.shuffle", true)?;
    if shuffle.value {
        of.imply(&shuffle, "problems are drawn in a new order in every epoch");
    } else {
        of.lose(&shuffle, "problems are always drawn in a random order");
    }
    let filter = of.flag("data.filter_overlong_prompts", true)?;
    if filter.value {
        of.imply(&filter, "problems with a prompt over data.max_prompt_tokens are passed over");
    } else {
        of.lose(&filter, "problems with a prompt over data.max_prompt_tokens are passed over, never cut");
    }
    let chat = of.optional_text("data.override_chat_template")?;
    match &chat.value {
        Some(_) => of.lose(&chat, "the chat template is the checkpoint's; put another into the checkpoint folder"),
        None => of.imply(&chat, "the chat template is the checkpoint's"),
    }
    let alone = "problems are read and validated as memory allows, whatever the batch";
    of.account_for(
        &["data.val_batch_size", "data.filter_overlong_prompts_workers"],
        &Fate::Implied { why: alone.to_owned() },
    );
    let videos = "videos are not read; problems of images and text do not need it";
    of.account_for(&["data.video_key", "data.video_fps"], &Fate::Implied { why: videos.to_owned() });
    let length = |value: i64| usize::try_from(value).unwrap_or(0);
    Ok(Batch {
        prompts: length(prompts.value),
        prompt_tokens: length(prompt.value),
        response_tokens: length(response.value),
    })
}

fn selection(files: &[String]) -> Value {
    match files {
        [one] => Value::from(one.clone()),
        several => Value::from(several.to_vec()),
    }
}

/// The names of the columns; ours by default are those that the data sets of EasyR1 have.
fn layout(of: &mut Conversion) -> Result<(), TrainError> {
    let columns = [
        ("data.prompt_key", "prompt", "problem"),
        ("data.answer_key", "answer", "answer"),
        ("data.image_key", "images", "images"),
    ];
    let mut names = Table::new();
    for (key, default, ours) in columns {
        let name = of.text(key, default)?;
        of.put_in_others(&name, &format!("data.layout.{ours} = {:?}", name.value));
        if name.value != ours {
            names.insert(ours.to_owned(), Value::from(name.value));
        }
    }
    if !names.is_empty() {
        of.set("data.layout", names);
    }
    Ok(())
}

/// The words around a problem: a file that is there, or the built-in template that EasyR1's file of that name is.
fn template(of: &mut Conversion) -> Result<(), TrainError> {
    let file = of.optional_text("data.format_prompt")?;
    let Some(path) = file.value.clone() else {
        of.imply(&file, "the problem as it stands");
        return Ok(());
    };
    let stem = Path::new(&path).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let known = if stem.starts_with("math_format_perception") { "vppo".to_owned() } else { stem };
    if Path::new(&path).is_file() {
        of.convert(&file, "data.template", path);
    } else if Template::names().any(|name| name == known && name != "none") {
        of.convert(&file, "data.template", known);
    } else {
        of.lose(&file, "there is no such file; set data.template to the path of a Jinja file");
    }
    Ok(())
}
