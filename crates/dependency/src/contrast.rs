//! What the clean prediction is compared with, and how.

use serde::{Deserialize, Serialize};

use crate::{BuiltInDivergence, BuiltInPerturbation};

/// One comparison of the clean prediction with the prediction from changed evidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contrast {
    /// Name in reports and errors.
    pub name: String,
    /// The changed evidence.
    pub view: View,
    /// How predictions are compared.
    pub divergence: BuiltInDivergence,
}

/// What the model sees instead of the clean image; written `"blind"` or `{ perturbed = { kind = "blur" } }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// No image: the keys of the visual tokens are masked, all positions stay where they are. Source: PGPO,
    /// arXiv:2604.01840, appendix A.1.
    Blind,
    /// A changed copy of the image. Source: VPPO, arXiv:2510.09285, table 11.
    Perturbed(BuiltInPerturbation),
}
