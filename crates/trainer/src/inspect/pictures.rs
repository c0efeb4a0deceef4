//! The images of a group, and what its contrasts showed in their place, drawn again as the run drew them.

use dependency::{Contrast, Draws, View};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _, Rgb, RgbImage, imageops};
use inspector::{Picture, RolloutRecord};
use vlm_model::image_input::ImageProcessor;

use crate::TrainError;
use crate::prepare::decode;
use crate::view::{Draw, Side, perturbed_image};

/// A picture of a larger area, in pixels, is reduced to it for the page; its name says from what.
const MOST_PIXELS: u32 = 512 * 512;

/// The side of what stands for an image that cannot be shown, in pixels.
const NOTHING: u32 = 28;

/// Fills what has no image.
const BLANK: Rgb<u8> = Rgb([236; 3]);

/// Draws the pictures of a step's groups.
pub(super) struct Painter<'a> {
    /// Makes images what the model sees.
    pub(super) processor: &'a ImageProcessor,
    /// The contrasts of the run's recipe.
    pub(super) contrasts: &'a [Contrast],
    /// Seed of the step's contrasts.
    pub(super) seed: u64,
}

impl Painter<'_> {
    /// The pictures of a group: its images as the model sees them, then each contrast's. A blind view is a blank. Where the
    /// responses were scored with other contrasts, a blank says so instead of them.
    ///
    /// # Errors
    /// If an image cannot be read.
    pub(super) fn pictures(
        &self,
        problem: &dataset::Problem,
        responses: &[RolloutRecord],
    ) -> Result<Vec<Picture>, TrainError> {
        let Some(first) = responses.first() else { return Ok(Vec::new()) };
        let images: Vec<RgbImage> = problem.images.iter().map(decode).collect::<Result<_, _>>()?;
        let seen = images.iter().map(|image| self.processor.resized(image)).collect::<Result<Vec<_>, _>>()?;
        let mut pictures = named("image", &seen)?;
        if images.is_empty() || self.contrasts.is_empty() {
            return Ok(pictures);
        }
        if !self.has_contrasts_of(responses) {
            let reason =
                "the contrasts, since the responses were scored with others than the kept recipe of the step has";
            pictures.extend(missing(reason));
            return Ok(pictures);
        }
        for (index, contrast) in self.contrasts.iter().enumerate() {
            let base = format!("{}, its base", contrast.name);
            for (name, view, side) in
                [(&base, &contrast.base, Side::Base), (&contrast.name, &contrast.view, Side::View)]
            {
                let draw = |response| Draw { contrast: index, side, group: first.group, response };
                match view {
                    View::Clean => {}
                    View::Blind => {
                        let blank = |image: &RgbImage| RgbImage::from_pixel(image.width(), image.height(), BLANK);
                        let blanks: Vec<RgbImage> = seen.iter().map(blank).collect();
                        pictures.extend(named(&format!("{name}: the image's tokens are hidden"), &blanks)?);
                    }
                    View::Perturbed(change) => {
                        let drawn = |draw: Draw| -> Result<Vec<RgbImage>, TrainError> {
                            let mut random = draw.random(self.seed);
                            let image = |image| perturbed_image(change, image, self.processor, &mut random);
                            images.iter().map(image).collect()
                        };
                        if change.draws == Draws::PerPrompt {
                            pictures.extend(named(name, &drawn(draw(0))?)?);
                            continue;
                        }
                        for response in responses.iter().map(|record| record.response) {
                            let name = format!("{name}, response {response}");
                            pictures.extend(named(&name, &drawn(draw(response))?)?);
                        }
                    }
                }
            }
        }
        Ok(pictures)
    }

    /// Whether the responses were scored with these contrasts, as far as that was recorded.
    fn has_contrasts_of(&self, responses: &[RolloutRecord]) -> bool {
        let own = || self.contrasts.iter().map(|contrast| contrast.name.as_str());
        let mut recorded = responses.iter().filter_map(|record| record.tokens.as_ref());
        recorded.all(|tokens| tokens.contrasts.iter().map(|contrast| contrast.name.as_str()).eq(own()))
    }
}

/// What stands in the place of pictures that cannot be shown, and says why.
pub(super) fn missing(reason: &str) -> Vec<Picture> {
    let blank = RgbImage::from_pixel(NOTHING, NOTHING, BLANK);
    picture(format!("not shown: {reason}"), &blank).into_iter().collect()
}

/// The pictures of a prompt's images; several are numbered.
fn named(name: &str, images: &[RgbImage]) -> Result<Vec<Picture>, TrainError> {
    let one = |(index, image)| {
        let number = if images.len() > 1 { format!(" ({} of {})", index + 1, images.len()) } else { String::new() };
        picture(format!("{name}{number}"), image)
    };
    images.iter().enumerate().map(one).collect()
}

fn picture(name: String, image: &RgbImage) -> Result<Picture, TrainError> {
    let (width, height) = image.dimensions();
    let area = f64::from(width) * f64::from(height);
    if area > f64::from(MOST_PIXELS) {
        let share = (f64::from(MOST_PIXELS) / area).sqrt();
        let side = |side: u32| ((f64::from(side) * share) as u32).max(1);
        let reduced = imageops::resize(image, side(width), side(height), imageops::FilterType::Triangle);
        return encoded(format!("{name}, reduced from {width} × {height}"), &reduced);
    }
    encoded(name, image)
}

fn encoded(name: String, image: &RgbImage) -> Result<Picture, TrainError> {
    let mut bytes = Vec::new();
    let (width, height) = image.dimensions();
    PngEncoder::new(&mut bytes)
        .write_image(image, width, height, ExtendedColorType::Rgb8)
        .map_err(|error| TrainError::Usage(format!("{name} cannot be written as a PNG: {error}")))?;
    Ok(Picture { name, media_type: "image/png".to_owned(), bytes })
}

#[cfg(test)]
mod tests {
    use dataset::{At, ImageSource, Place, Problem};
    use dependency::{
        BuiltInDivergence, BuiltInPerturbation, GaussianNoise, PatchBlackout, PerturbedImage, SampledK3, Surface,
    };
    use inspector::Finish;
    use vlm_model::image_input::PixelLimits;

    use super::*;
    use crate::view::perturbed_patches;

    fn response(number: usize) -> RolloutRecord {
        RolloutRecord {
            step: 4,
            group: 3,
            response: number,
            problem_index: None,
            place: None,
            problem: String::new(),
            answer: String::new(),
            text: String::new(),
            finish: Finish::Stop,
            reward: 0.0,
            accuracy: 0.0,
            parts: std::collections::BTreeMap::new(),
            tokens: None,
        }
    }

    /// Bit for bit, of two images of one prompt that draw in turn, drawn once and for each response, on either surface.
    #[test]
    fn pictures_have_the_patches_that_are_scored() {
        let image = |width, height| RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, (x * y) as u8]));
        let images = [image(61, 140), image(90, 50)];
        let source = |image| ImageSource::Bytes(picture(String::new(), image).expect("a PNG").bytes);
        let problem = Problem {
            problem: "<image><image>Which?".to_owned(),
            system: None,
            images: images.iter().map(source).collect(),
            answer: "1".to_owned(),
            teacher: None,
            category: None,
            place: Place { file: "memory".into(), at: At::Row(0) },
        };
        let noise = BuiltInPerturbation::GaussianNoise(GaussianNoise::default());
        let blackout = BuiltInPerturbation::PatchBlackout(PatchBlackout::default());
        let changes = [
            PerturbedImage { perturbation: noise, draws: Draws::PerPrompt, surface: Surface::Image },
            PerturbedImage { perturbation: blackout, draws: Draws::PerResponse, surface: Surface::ModelInput },
        ];
        let divergence = BuiltInDivergence::SampledK3(SampledK3::default());
        let contrasts = changes.map(|change| Contrast::new("contrast", View::Perturbed(change), divergence));
        let processor = ImageProcessor { limits: PixelLimits::new(28 * 28, 28 * 28 * 6), ..ImageProcessor::default() };
        let painter = Painter { processor: &processor, contrasts: &contrasts, seed: 9 };
        let pictures = painter.pictures(&problem, &[response(0), response(1)]).expect("drawn");
        let patches = |picture: &Picture| {
            let image = image::load_from_memory(&picture.bytes).expect("a PNG").into_rgb8();
            processor.patches_of_resized(&image).expect("the size that the model sees")
        };
        let draws = [(0, 0), (1, 0), (1, 1)];
        let expected = draws.into_iter().flat_map(|(contrast, response)| {
            let mut random = Draw { contrast, side: Side::View, group: 3, response }.random(9);
            images.each_ref().map(|image| {
                perturbed_patches(&changes[contrast], image, &processor, &mut random).expect("the patches scored")
            })
        });
        assert_eq!(pictures[2..].iter().map(patches).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        let clean = images.each_ref().map(|image| processor.patches(image).expect("the patches scored"));
        assert_eq!(pictures[..2].iter().map(patches).collect::<Vec<_>>(), clean);
        assert_eq!(
            (pictures[1].name.as_str(), pictures[7].name.as_str()),
            ("image (2 of 2)", "contrast, response 1 (2 of 2)")
        );
    }

    /// Responses that were scored with other contrasts keep their clean image, and say why there is nothing else.
    #[test]
    fn other_contrasts_cost_only_their_own_pictures() {
        let image = RgbImage::from_pixel(56, 56, Rgb([7, 80, 200]));
        let problem = Problem {
            problem: "<image>Which?".to_owned(),
            system: None,
            images: vec![ImageSource::Bytes(picture(String::new(), &image).expect("a PNG").bytes)],
            answer: "1".to_owned(),
            teacher: None,
            category: None,
            place: Place { file: "memory".into(), at: At::Row(0) },
        };
        let divergence = BuiltInDivergence::SampledK3(SampledK3::default());
        let contrasts = [Contrast::new("blind", View::Blind, divergence)];
        let processor = ImageProcessor::default();
        let painter = Painter { processor: &processor, contrasts: &contrasts, seed: 9 };
        let scored = RolloutRecord { tokens: Some(inspector::TokenRecord::default()), ..response(0) };
        let names = |responses: &[RolloutRecord]| -> Vec<String> {
            painter.pictures(&problem, responses).expect("drawn").into_iter().map(|picture| picture.name).collect()
        };
        assert_eq!(names(&[response(0)]), ["image", "blind: the image's tokens are hidden"]);
        let shown = names(&[scored]);
        assert!(shown.len() == 2 && shown[0] == "image" && shown[1].contains("scored with others"), "{shown:?}");
    }

    #[test]
    fn only_huge_pictures_are_reduced() {
        let size = |picture: &Picture| {
            let image = image::load_from_memory(&picture.bytes).expect("a PNG");
            (image.width(), image.height())
        };
        let kept = picture("image".to_owned(), &RgbImage::new(1024, 256)).expect("a PNG");
        assert_eq!((kept.name.as_str(), size(&kept)), ("image", (1024, 256)));
        let reduced = picture("image".to_owned(), &RgbImage::new(2048, 512)).expect("a PNG");
        assert_eq!((reduced.name.as_str(), size(&reduced)), ("image, reduced from 2048 × 512", (1024, 256)));
        let line = picture("line".to_owned(), &RgbImage::new(1, 1_000_000)).expect("a PNG");
        assert_eq!(size(&line).0, 1, "a side is never lost");
    }
}
