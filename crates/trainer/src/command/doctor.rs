//! `sightline doctor`.

use clap::Args;
use serde_json::{Value, json};
use trainer::doctor::{Examination, Extent, Host, examine_named};
use trainer::{Backend, TrainError, backends};

use super::print;

/// Arguments of `doctor`.
#[derive(Args)]
pub(crate) struct Doctor {
    /// Examine this device: cpu, wgpu:0 or cuda:0, several times for several [default: every device that is found]
    #[arg(long)]
    device: Vec<String>,
    /// Leave out single divergences, metrics, estimators and shapers, as `train` does before a run
    #[arg(long)]
    quick: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(crate) fn run(self) -> Result<(), TrainError> {
        let (host, backends) = (Host::look(), backends());
        let names = match self.device.is_empty() {
            false => self.device,
            true => backends
                .iter()
                .filter_map(|found| found.devices.as_ref().ok())
                .flatten()
                .map(|found| found.name.clone())
                .collect(),
        };
        if !self.json {
            show(&host, &backends)?;
        }
        let extent = if self.quick { Extent::Quick } else { Extent::Full };
        let mut examinations: Vec<Examination> = Vec::new();
        for name in names {
            let examination = examine_named(&name, extent)?;
            if !self.json {
                print(&format!("\n{name}: {}", compared(&name)))?;
                print(&examination.to_string())?;
            }
            examinations.push(examination);
        }
        if self.json {
            print(&object(&host, &backends, &examinations)?.to_string())?;
        }
        let unsound: Vec<&str> =
            examinations.iter().filter(|found| !found.is_sound()).map(|found| found.device.as_str()).collect();
        if !self.json && unsound.is_empty() {
            print("\nevery check is sound")?;
        }
        if unsound.is_empty() { Ok(()) } else { Err(TrainError::UnsoundDevices { names: unsound.join(", ") }) }
    }
}

fn compared(name: &str) -> &'static str {
    if name.starts_with("cpu") { "compared with recorded values" } else { "compared with the CPU" }
}

fn show(host: &Host, backends: &[Backend]) -> Result<(), TrainError> {
    for (name, what) in host.lines() {
        print(&format!("{name:10}  {what}"))?;
    }
    for backend in backends {
        match &backend.devices {
            Ok(devices) => {
                for device in devices {
                    print(&format!("{:10}  {}", device.name, device.description))?;
                }
                if devices.is_empty() {
                    print(&format!("{:10}  no device", backend.name))?;
                }
            }
            Err(reason) => print(&format!("{:10}  {reason}", backend.name))?,
        }
    }
    Ok(())
}

fn object(host: &Host, backends: &[Backend], examinations: &[Examination]) -> Result<Value, TrainError> {
    let backend = |backend: &Backend| match &backend.devices {
        Ok(devices) => {
            let device =
                |device: &trainer::FoundDevice| json!({"name": device.name, "description": device.description});
            json!({
                "name": backend.name,
                "feature": backend.feature,
                "devices": devices.iter().map(device).collect::<Vec<_>>(),
            })
        }
        Err(reason) => json!({"name": backend.name, "feature": backend.feature, "devices": [], "reason": reason}),
    };
    let host =
        serde_json::to_value(host).map_err(|source| TrainError::Json { place: "the host".to_owned(), source })?;
    Ok(json!({
        "host": host,
        "backends": backends.iter().map(backend).collect::<Vec<_>>(),
        "examinations": examinations.iter().map(Examination::to_json).collect::<Vec<_>>(),
    }))
}
