//! What a step took: time and memory.

use std::time::Duration;

use burn::tensor::Device;
use serde::Serialize;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

/// Bytes of a gigabyte, as EasyR1 and verl count them.
const GIGABYTE: f64 = (1_u64 << 30) as f64;

/// Wall times of a step's phases. Work that a device does later counts in the phase that waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Timings {
    /// Drawing problems and sampling responses.
    pub(crate) rollout: Duration,
    /// Judging them.
    pub(crate) reward: Duration,
    /// Scoring.
    pub(crate) score: Duration,
    /// Assigning credit.
    pub(crate) credit: Duration,
    /// Gradients and optimizer steps.
    pub(crate) update: Duration,
    /// The whole step.
    pub(crate) step: Duration,
}

/// Time and memory of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Tokens trained on: prompts once per group, and responses.
    #[serde(rename = "perf/total_num_tokens")]
    pub tokens: usize,
    /// Those tokens per second of the step.
    #[serde(rename = "perf/throughput")]
    pub throughput: f64,
    /// How many times as many tokens the updates would have computed without sharing prompts; 0 without an update.
    #[serde(rename = "perf/prefix_saving")]
    pub prefix_saving: f64,
    /// Sampled tokens per second of sampling.
    #[serde(rename = "perf/gen_throughput")]
    pub sampling_throughput: f64,
    /// Seconds of the step.
    #[serde(rename = "perf/time_per_step")]
    pub time_per_step: f64,
    /// Memory this process holds, in units of 2^30 bytes; 0 if the system does not tell.
    #[serde(rename = "perf/cpu_memory_used_gb")]
    pub process_memory: f64,
    /// Memory the device's allocator holds, in units of 2^30 bytes, if it tells.
    #[serde(rename = "perf/memory_reserved_gb", skip_serializing_if = "Option::is_none")]
    pub device_memory: Option<f64>,
    /// Seconds of drawing problems and sampling responses.
    #[serde(rename = "timing_s/gen")]
    pub rollout_seconds: f64,
    /// Seconds of judging.
    #[serde(rename = "timing_s/reward")]
    pub reward_seconds: f64,
    /// Seconds of scoring: old log-probabilities, contrasts and the reference policy.
    #[serde(rename = "timing_s/old")]
    pub score_seconds: f64,
    /// Seconds of credit assignment.
    #[serde(rename = "timing_s/adv")]
    pub credit_seconds: f64,
    /// Seconds of gradients and optimizer steps.
    #[serde(rename = "timing_s/update_actor")]
    pub update_seconds: f64,
    /// Seconds of the step.
    #[serde(rename = "timing_s/step")]
    pub step_seconds: f64,
    /// Milliseconds of sampling for each sampled token.
    #[serde(rename = "timing_per_token_ms/gen")]
    pub rollout_per_token: f64,
    /// Milliseconds of the update for each token trained on.
    #[serde(rename = "timing_per_token_ms/update_actor")]
    pub update_per_token: f64,
}

impl Cost {
    /// Of a step with these times, that sampled so many tokens and trained on so many.
    pub(super) fn of(timings: &Timings, sampled: usize, tokens: usize, device: &Device) -> Self {
        let seconds = |duration: Duration| duration.as_secs_f64();
        let rate = |count: usize, duration: Duration| count as f64 / seconds(duration).max(1e-9);
        let per_token = |duration: Duration, count: usize| super::figures::ratio(1e3 * seconds(duration), count as f64);
        let reserved = device.memory_pool_usage().map(|usage| usage.bytes_reserved as f64 / GIGABYTE);
        Self {
            tokens,
            prefix_saving: 0.0,
            throughput: rate(tokens, timings.step),
            sampling_throughput: rate(sampled, timings.rollout),
            time_per_step: seconds(timings.step),
            process_memory: process_memory() / GIGABYTE,
            device_memory: reserved,
            rollout_seconds: seconds(timings.rollout),
            reward_seconds: seconds(timings.reward),
            score_seconds: seconds(timings.score),
            credit_seconds: seconds(timings.credit),
            update_seconds: seconds(timings.update),
            step_seconds: seconds(timings.step),
            rollout_per_token: per_token(timings.rollout, sampled),
            update_per_token: per_token(timings.update, tokens),
        }
    }
}

/// Bytes of memory that this process holds.
fn process_memory() -> f64 {
    let Ok(id) = sysinfo::get_current_pid() else { return 0.0 };
    let mut system = System::new();
    let what = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), true, what);
    system.process(id).map_or(0.0, |process| process.memory() as f64)
}
