//! What the clean prediction is compared with, and how.

use serde::{Deserialize, Serialize};

use crate::{BuiltInDivergence, BuiltInPerturbation};

/// One comparison of two predictions of the same tokens, made from different evidence.
///
/// Every contrast of a metric draws random numbers of its own, and so do its base and its view: two contrasts with the same
/// perturbation compare with two different images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contrast {
    /// Name in reports and errors.
    pub name: String,
    /// What the first of the two predictions is made from: the image as it is, if nothing else is said.
    #[serde(default, skip_serializing_if = "View::is_clean")]
    pub base: View,
    /// What the second is made from: the changed evidence.
    pub view: View,
    /// How predictions are compared.
    pub divergence: BuiltInDivergence,
}

impl Contrast {
    /// Compares the prediction from the image as it is with the one from `view`.
    pub fn new(name: impl Into<String>, view: impl Into<View>, divergence: BuiltInDivergence) -> Self {
        Self { name: name.into(), base: View::Clean, view: view.into(), divergence }
    }
}

/// What the model sees; written `"clean"`, `"blind"` or `{ perturbed = { perturbation = { kind = "blur" } } }`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// The image as it is.
    #[default]
    Clean,
    /// No image: the keys of the visual tokens are masked, all positions stay where they are. Source: PGPO,
    /// arXiv:2604.01840, appendix A.1.
    Blind,
    /// A changed copy of the image. Source: VPPO, arXiv:2510.09285, table 11.
    Perturbed(PerturbedImage),
}

impl View {
    /// Whether this is the image as it is.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        *self == Self::Clean
    }
}

/// How and where an image is changed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerturbedImage {
    /// The change.
    pub perturbation: BuiltInPerturbation,
    /// How often its random numbers are drawn.
    #[serde(default)]
    pub draws: Draws,
    /// Which pixels it acts on.
    #[serde(default)]
    pub surface: Surface,
}

/// How often a perturbation draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Draws {
    /// Once: all responses to a prompt are compared with the same changed image, whose prompt is computed once.
    #[default]
    PerPrompt,
    /// Once for every response, as the released VPPO code does; the prompt is then computed once for every response.
    PerResponse,
}

/// The pixels a perturbation acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Surface {
    /// Those of the image as it was read, before it is resized for the model: cells of a blackout cut across the patches of the
    /// vision encoder. As in the code of PAPO (arXiv:2507.06448) and, but for a resize into the pixel budget, of VPPO.
    #[default]
    Image,
    /// Those of the image resized for the model: cells of 14 pixels are the encoder's patches.
    ModelInput,
}

impl From<BuiltInPerturbation> for View {
    /// The change with one draw per prompt, on the image as it was read.
    fn from(perturbation: BuiltInPerturbation) -> Self {
        Self::Perturbed(PerturbedImage { perturbation, draws: Draws::default(), surface: Surface::default() })
    }
}
