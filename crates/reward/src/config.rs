//! What responses are paid for, as it is written in a configuration.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    AnswerMatch, CosineLength, Format, GroupLength, Http, Profile, Repetition, RewardError, SoftOverlong, Subprocess,
    Weight, WeightedSum,
};

/// What responses are paid for: the right answer and a share for the form, or a list of weighted parts.
///
/// Without `parts`, `overall = (1 − format_weight)·accuracy + format_weight·format`.
///
/// # Source
/// VPPO (arXiv:2510.09285) pays for accuracy alone, which is the default. PGPO and PAPO weigh the form by 0.1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawReward")]
pub struct RewardConfig {
    /// Share of the form in the overall reward; the rest is the answer's. 0 if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format_weight: Option<Weight>,
    /// Whose rules say when the answer is right: `strict-sound` if not given, or `mathruler` for the rewards of the released code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// The parts; none stands for an answer and a format of the weights above.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<WeightedPart>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
struct RawReward {
    format_weight: Option<Weight>,
    profile: Option<Profile>,
    parts: Vec<WeightedPart>,
}

/// A part of a reward, its weight in the sum and its name among the metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct WeightedPart {
    /// Logged as `reward/NAME`; by default `accuracy` for an answer and the kind for any other part.
    pub name: String,
    /// What its value is multiplied with; 1 if not given.
    pub weight: f32,
    /// What it pays for.
    #[serde(flatten)]
    pub part: BuiltInPart,
}

/// What a part of a reward pays for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BuiltInPart {
    /// The right answer.
    Answer(AnswerMatch),
    /// The demanded form.
    Format(Format),
    /// What repetitions cost.
    Repetition(Repetition),
    /// What coming near the length limit costs.
    SoftOverlong(SoftOverlong),
    /// A right answer that is short, by a cosine.
    CosineLength(CosineLength),
    /// A right answer that is short among the responses to its prompt.
    GroupLength(GroupLength),
    /// What a program says.
    Subprocess(Subprocess),
    /// What a server says.
    Http(Http),
}

impl BuiltInPart {
    /// The name of a part that was given none.
    #[must_use]
    pub const fn default_name(&self) -> &'static str {
        match self {
            Self::Answer(_) => "accuracy",
            Self::Format(_) => "format",
            Self::Repetition(_) => "repetition",
            Self::SoftOverlong(_) => "soft-overlong",
            Self::CosineLength(_) => "cosine-length",
            Self::GroupLength(_) => "group-length",
            Self::Subprocess(_) => "subprocess",
            Self::Http(_) => "http",
        }
    }

    /// This part under its default name.
    #[must_use]
    pub fn weighing(self, weight: f32) -> WeightedPart {
        WeightedPart { name: self.default_name().to_owned(), weight, part: self }
    }
}

impl RewardConfig {
    /// The right answer and a share for the form.
    #[must_use]
    pub fn formatted(format_weight: Weight) -> Self {
        Self { format_weight: Some(format_weight), ..Self::default() }
    }

    /// Those parts.
    ///
    /// # Errors
    /// - [`RewardError::PartWeight`] if a weight is not finite.
    /// - [`RewardError::PartName`] if two parts have the same name, or one has none or that of the sum.
    pub fn of_parts(parts: Vec<WeightedPart>) -> Result<Self, RewardError> {
        for (index, WeightedPart { name, weight, .. }) in parts.iter().enumerate() {
            let wrong = |problem| Err(RewardError::PartName { name: name.clone(), problem });
            if !weight.is_finite() {
                return Err(RewardError::PartWeight { name: name.clone(), weight: *weight });
            }
            if name.trim().is_empty() {
                return wrong("has no name");
            }
            if name == "overall" {
                return wrong("is named like the sum");
            }
            if parts[..index].iter().any(|other| other.name == *name) {
                return wrong("is named like another");
            }
        }
        Ok(Self { parts, ..Self::default() })
    }

    /// The parts that are paid for, written or not.
    #[must_use]
    pub fn weighted_parts(&self) -> Vec<WeightedPart> {
        if !self.parts.is_empty() {
            return self.parts.clone();
        }
        let share = self.format_weight.unwrap_or(Weight::ZERO).value();
        let answer = AnswerMatch { profile: self.profile.unwrap_or_default() };
        vec![BuiltInPart::Answer(answer).weighing(1.0 - share), BuiltInPart::Format(Format::default()).weighing(share)]
    }

    /// The reward; programs among its parts are started.
    ///
    /// # Errors
    /// - [`RewardError::Command`] if a program cannot be started.
    /// - [`RewardError::Url`] if a server's address is none.
    pub fn build(&self) -> Result<WeightedSum, RewardError> {
        WeightedSum::new(&self.weighted_parts())
    }
}

impl TryFrom<RawReward> for RewardConfig {
    type Error = RewardError;

    fn try_from(raw: RawReward) -> Result<Self, RewardError> {
        let RawReward { format_weight, profile, parts } = raw;
        if parts.is_empty() {
            return Ok(Self { format_weight, profile, parts });
        }
        if format_weight.is_some() {
            return Err(RewardError::Both { field: "format_weight", instead: "kind = \"format\", weight = …" });
        }
        if profile.is_some() {
            return Err(RewardError::Both { field: "profile", instead: "kind = \"answer\", profile = …" });
        }
        Self::of_parts(parts)
    }
}

impl TryFrom<Map<String, Value>> for WeightedPart {
    type Error = RewardError;

    /// Takes name and weight out and reads the rest as the part, of which every field must be known.
    fn try_from(mut fields: Map<String, Value>) -> Result<Self, RewardError> {
        fn read<T: serde::de::DeserializeOwned>(place: &str, value: Value) -> Result<T, RewardError> {
            serde_json::from_value(value).map_err(|error| RewardError::Part { reason: format!("{place}{error}") })
        }
        let name = fields.remove("name").map(|name| read("name: ", name)).transpose()?;
        let weight = fields.remove("weight").map(|weight| read("weight: ", weight)).transpose()?;
        let part: BuiltInPart = read("", Value::Object(fields))?;
        let name = name.unwrap_or_else(|| part.default_name().to_owned());
        Ok(Self { name, weight: weight.unwrap_or(1.0), part })
    }
}
