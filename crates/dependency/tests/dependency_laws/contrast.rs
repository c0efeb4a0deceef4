//! Laws of naming contrasts in a recipe.

use dependency::{
    Blur, BuiltInDivergence, BuiltInPerturbation, Contrast, Draws, PerturbedImage, SampledK3, Surface, View,
};
use proptest::prelude::*;

fn blur() -> BuiltInPerturbation {
    BuiltInPerturbation::Blur(Blur::mild())
}

fn views() -> impl Strategy<Value = View> {
    let perturbed = (any::<bool>(), any::<bool>()).prop_map(|(each, resized)| {
        View::Perturbed(PerturbedImage {
            perturbation: blur(),
            draws: if each { Draws::PerResponse } else { Draws::PerPrompt },
            surface: if resized { Surface::ModelInput } else { Surface::Image },
        })
    });
    prop_oneof![Just(View::Clean), Just(View::Blind), perturbed]
}

proptest! {
    /// What was written is read again; a clean base goes without saying.
    #[test]
    fn contrasts_survive_json(base in views(), view in views()) {
        let contrast = Contrast { base, ..Contrast::new("any", view, BuiltInDivergence::SampledK3(SampledK3::default())) };
        let written = serde_json::to_string(&contrast).expect("data");
        prop_assert_eq!(serde_json::from_str::<Contrast>(&written).expect("what was written"), contrast);
        prop_assert_eq!(written.contains(r#""base""#), base != View::Clean);
        prop_assert_eq!(base.is_clean(), base == View::Clean);
    }
}

#[test]
fn views_have_names() {
    let read = |text: &str| serde_json::from_str::<View>(text);
    assert_eq!(read(r#""clean""#).expect("a view"), View::Clean);
    assert_eq!(read(r#""blind""#).expect("a view"), View::Blind);
    let plain = read(r#"{"perturbed": {"perturbation": {"kind": "blur", "radius": 1.5}}}"#).expect("a view");
    assert_eq!(plain, View::from(blur()));
    let image = PerturbedImage { perturbation: blur(), draws: Draws::PerPrompt, surface: Surface::Image };
    assert_eq!(plain, View::Perturbed(image));
    let text = r#"{"perturbed": {"perturbation": {"kind": "blur", "radius": 1.5}, "draws": "per-response", "surface": "model-input"}}"#;
    let other = PerturbedImage { draws: Draws::PerResponse, surface: Surface::ModelInput, ..image };
    assert_eq!(read(text).expect("a view"), View::Perturbed(other));
    for wrong in [
        r#""perturbed""#,
        r#"{"perturbed": {"perturbation": {"kind": "fog"}}}"#,
        r#"{"perturbed": {"perturbation": {"kind": "blur"}, "draws": "never"}}"#,
        r#"{"perturbed": {"perturbation": {"kind": "blur"}, "surface": "model"}}"#,
        r#"{"perturbed": {"perturbation": {"kind": "blur"}, "seed": 1}}"#,
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}
