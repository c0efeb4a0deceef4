//! `sightline generate`.

use clap::Args;
use rollout::{Finish, NativeEngine, RolloutPrompt, Sampling};
use serde_json::json;
use trainer::TrainError;

use super::print;
use super::question::{Asked, Question};

/// Arguments of `generate`.
#[derive(Args)]
pub(crate) struct Generate {
    #[command(flatten)]
    question: Question,
    /// Divides the logits; 0 takes the likeliest token
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    temperature: f64,
    /// Keep the smallest set of tokens with this share of the probability
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    top_p: f64,
    /// Keep this many of the likeliest tokens; 0 keeps all
    #[arg(long, default_value_t = 0)]
    top_k: usize,
    /// Seed of the draws
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Length limit
    #[arg(long, default_value_t = 256)]
    max_new_tokens: usize,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Generate {
    pub(crate) fn run(self) -> Result<(), TrainError> {
        let sampling = Sampling {
            temperature: self.temperature,
            top_p: self.top_p,
            top_k: self.top_k,
            max_new_tokens: self.max_new_tokens,
        };
        sampling.validate()?;
        let Asked { model, processor, prompt, features, .. } = self.question.ask()?;
        let stop = [model.config.tokens.eos, model.config.tokens.bos];
        let engine = NativeEngine::new(&model, &sampling, &stop, 1)?;
        let prompt = RolloutPrompt { tokens: prompt, image_features: features, seed: self.seed };
        let completions = engine.generate(std::slice::from_ref(&prompt), 1)?;
        for completion in completions.into_iter().flatten() {
            let text = processor.tokenizer.decode(&completion.tokens, true)?;
            if self.json {
                let finish = match completion.finish {
                    Finish::Stop => "stop",
                    Finish::Length => "length",
                };
                let object = json!({
                    "prompt_ids": prompt.tokens.ids,
                    "ids": completion.tokens,
                    "log_probs": completion.log_probs,
                    "finish": finish,
                    "text": text,
                });
                print(&object.to_string())?;
            } else {
                print(&text)?;
            }
        }
        Ok(())
    }
}
