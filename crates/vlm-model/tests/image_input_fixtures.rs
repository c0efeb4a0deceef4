//! Images against values recorded from Pillow 13 and transformers 5.23 (`tests/fixtures/scripts/fx_image.py`).

use std::path::{Path, PathBuf};

use image::{ImageBuffer, Luma, LumaA, Rgb, RgbImage};
use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::Value;
use vlm_model::ModelError;
use vlm_model::image_input::{
    Decoding, ExifOrientation, ImageProcessor, ImageSize, PATCH_VALUES, PixelLimits, Transparency, resize_bicubic,
    smart_resize,
};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/image");

/// The recording keeps images small; everything else is as in the checkpoints.
fn processor() -> ImageProcessor {
    ImageProcessor { limits: PixelLimits::new(3136, 12544), ..ImageProcessor::default() }
}

fn json<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(Path::new(FIXTURES).join(name)).expect("fixture");
    serde_json::from_str(&text).expect("fixture of the expected form")
}

fn file(name: &str) -> PathBuf {
    Path::new(FIXTURES).join("files").join(name)
}

/// The recorded tensors of all files.
struct Recording(Vec<u8>);

impl Recording {
    fn load() -> Self {
        Self(std::fs::read(Path::new(FIXTURES).join("pixel_values.safetensors")).expect("fixture"))
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.0).expect("safetensors")
    }

    /// File names in order.
    fn files() -> Vec<String> {
        let description: Value = json("pixel_values.json");
        let files = description["files"].as_object().expect("an entry per file");
        assert_eq!(files.len(), 14);
        files.keys().cloned().collect()
    }

    fn image(&self, name: &str) -> Option<RgbImage> {
        let tensors = self.tensors();
        let tensor = tensors.tensor(name).ok()?;
        let [height, width, 3] = *tensor.shape() else { panic!("{name} is no RGB image") };
        RgbImage::from_raw(width as u32, height as u32, tensor.data().to_vec())
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        let tensors = self.tensors();
        let data = tensors.tensor(name).expect("recorded").data();
        data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
    }

    /// What the recorded resize and patches started from.
    fn processed(&self, file: &str) -> RgbImage {
        self.image(&format!("{file}/rgb_hf")).or_else(|| self.image(&format!("{file}/rgb"))).expect("recorded")
    }
}

/// How far two sequences of values are apart: at worst and on average.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Difference {
    largest: f64,
    mean: f64,
}

impl Difference {
    const NONE: Self = Self { largest: 0.0, mean: 0.0 };

    fn of(pairs: impl ExactSizeIterator<Item = (f64, f64)>) -> Self {
        let count = pairs.len() as f64;
        let mut found = Self::NONE;
        for (left, right) in pairs {
            let difference = (left - right).abs();
            found.largest = found.largest.max(difference);
            found.mean += difference / count;
        }
        found
    }

    /// PNG is exact. JPEG leaves the last bits to the decoder: ours interpolates subsampled color in two rounded
    /// steps where Pillow's takes one, which shows on single pixels at sharp edges (and these images are noise).
    fn require(self, file: &str, jpeg_largest: f64) {
        if file.ends_with(".jpg") {
            assert!(self.largest <= jpeg_largest && self.mean <= 0.5, "{file}: {self:?}");
        } else {
            assert_eq!(self, Self::NONE, "{file}");
        }
    }
}

fn level_difference(left: &RgbImage, right: &RgbImage) -> Difference {
    assert_eq!(ImageSize::of(left), ImageSize::of(right));
    let pairs = left.as_raw().iter().zip(right.as_raw());
    Difference::of(pairs.map(|(&left, &right)| (left.into(), right.into())))
}

#[test]
fn smart_resize_agrees_on_every_recorded_size() {
    #[derive(Deserialize)]
    struct Table {
        rows: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        min_pixels: u32,
        max_pixels: u32,
        height: u32,
        width: u32,
        hf: Value,
        grid_thw: Option<[usize; 3]>,
        image_tokens: Option<usize>,
    }

    let Table { rows } = json("smart_resize.json");
    assert_eq!(rows.len(), 252);
    for row in rows {
        let size = ImageSize { height: row.height, width: row.width };
        let limits = PixelLimits::new(row.min_pixels, row.max_pixels);
        let case = format!("{size:?} within {limits:?}");
        match (row.hf.as_array(), smart_resize(size, &limits)) {
            (Some(expected), Ok(found)) => {
                assert_eq!([found.height, found.width].map(Value::from).as_slice(), expected, "{case}");
                let grid = ImageProcessor { limits, ..processor() }.grid(size).expect("resizable");
                assert_eq!(Some([grid.t, grid.h, grid.w]), row.grid_thw, "{case}");
                assert_eq!(Some(grid.tokens()), row.image_tokens, "{case}");
            }
            (None, Err(ModelError::AspectRatio { height, width })) => {
                assert_eq!(ImageSize { height, width }, size);
            }
            (expected, found) => panic!("{case}: expected {expected:?}, found {found:?}"),
        }
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the measured difference per file is worth reading")]
fn files_decode_to_the_recorded_rgb() {
    let recording = Recording::load();
    let decode = |name: &str, transparency, orientation| {
        let decoding = Decoding { transparency, orientation, ..Decoding::default() };
        decoding.file(&file(name)).expect("decodes")
    };
    for name in Recording::files() {
        let check = |variant: &str, found: &RgbImage| {
            let Some(expected) = recording.image(&format!("{name}/{variant}")) else {
                return false;
            };
            let difference = level_difference(found, &expected);
            println!("{name:22} {variant:20} {difference:.2?} levels");
            difference.require(&name, 7.0);
            true
        };
        let stored = decode(&name, Transparency::Drop, ExifOrientation::Ignore);
        let white = decode(&name, Transparency::White, ExifOrientation::Ignore);
        assert!(check("rgb", &stored));
        let has_alpha = check("rgb_on_white", &white);
        assert_eq!(check("rgb_hf", &white), has_alpha);
        assert_eq!(has_alpha, stored != white, "{name}");

        let upright = decode(&name, Transparency::Drop, ExifOrientation::Apply);
        let turned = check("rgb_exif_transposed", &upright);
        assert_eq!(turned, stored != upright, "{name}");
    }
}

#[test]
fn bicubic_is_pillows_to_the_byte() {
    let recording = Recording::load();
    for name in Recording::files() {
        let image = recording.processed(&name);
        let expected = recording.image(&format!("{name}/resized_pil")).expect("recorded");
        let size = smart_resize(ImageSize::of(&image), &processor().limits).expect("resizable");
        let found = resize_bicubic(&image, size).expect("resizable");
        assert_eq!(level_difference(&found, &expected), Difference::NONE, "{name}");
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the measured difference per file is worth reading")]
fn patches_are_the_recorded_pixel_values() {
    let recording = Recording::load();
    let processor = processor();
    let decoding =
        Decoding { transparency: Transparency::White, orientation: ExifOrientation::Ignore, ..Decoding::default() };
    let description: Value = json("pixel_values.json");
    for name in Recording::files() {
        let expected = recording.floats(&format!("{name}/pixel_values_pil"));
        let found = processor.patches(&recording.processed(&name)).expect("processable");
        let grid = [found.grid.t, found.grid.h, found.grid.w];
        assert_eq!(Value::from(grid.as_slice()), description["files"][&name]["grid_thw"], "{name}");
        assert_eq!(found.pixels, expected, "{name}: from recorded RGB");

        // From the file: a level is 1/255 before normalization.
        let found = processor.patches(&decoding.file(&file(&name)).expect("decodes")).expect("processable");
        assert_eq!(found.pixels.len(), found.grid.patches() * PATCH_VALUES);
        let pairs = found.pixels.iter().zip(&expected).enumerate();
        let difference = Difference::of(pairs.map(|(index, (&found, &expected))| {
            let channel = index % PATCH_VALUES / (PATCH_VALUES / 3);
            let levels = |value: f32| f64::from(value * processor.std[channel] * 255.0);
            (levels(found), levels(expected))
        }));
        println!("{name:22} from the file: {difference:.3?} of 255 levels before normalization");
        difference.require(&name, 4.001);
    }
}

fn png<P>(image: &ImageBuffer<P, Vec<P::Subpixel>>) -> Vec<u8>
where
    P: image::PixelWithColorType,
    [P::Subpixel]: image::EncodableLayout,
    P::Subpixel: image::Primitive,
{
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).expect("encodes");
    bytes.into_inner()
}

/// Pillow clips sixteen-bit grey, but takes the high bytes of sixteen-bit color and of grey with alpha.
#[test]
fn sixteen_bits_become_eight_as_in_pillow() {
    let decode = |bytes: &[u8]| Decoding::default().bytes(bytes).expect("decodes").get_pixel(0, 0).0;
    let grey = ImageBuffer::from_pixel(1, 1, Luma([0x0180_u16]));
    let grey_alpha = ImageBuffer::from_pixel(1, 1, LumaA([0x01ff_u16, 0xffff]));
    let color = ImageBuffer::from_pixel(1, 1, Rgb([0x01ff_u16, 0x7fff, 0xff00]));
    assert_eq!(decode(&png(&grey)), [255; 3]);
    assert_eq!(decode(&png(&grey_alpha)), [1; 3]);
    assert_eq!(decode(&png(&color)), [1, 127, 255]);
}

#[test]
fn an_image_over_the_pixel_limit_is_refused_with_its_size() {
    let error = Decoding { max_pixels: 9604, ..Decoding::default() }.file(&file("rgb_113x85.png"));
    let error = error.expect_err("113 * 85 = 9605");
    assert!(
        matches!(error, ModelError::ImageTooLarge { height: 85, width: 113, pixels: 9605, limit: 9604 }),
        "{error}"
    );
    assert!(Decoding { max_pixels: 9605, ..Decoding::default() }.file(&file("rgb_113x85.png")).is_ok());
}

/// A header that promises two billion pixels costs nothing to refuse.
#[test]
fn a_decompression_bomb_is_refused_by_its_header() {
    let mut bytes = std::fs::read(file("rgb_113x85.png")).expect("fixture");
    bytes[16..24].copy_from_slice(&[0, 0, 0xb0, 0, 0, 0, 0xb0, 0]);
    let checksum = crc32(&bytes[12..29]).to_be_bytes();
    bytes[29..33].copy_from_slice(&checksum);
    let error = Decoding::default().bytes(&bytes).expect_err("45 056 squared");
    assert!(matches!(error, ModelError::ImageTooLarge { pixels: 2_030_043_136, .. }), "{error}");
}

/// The checksum of a PNG chunk.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |state, &byte| {
        (0..8).fold(state ^ u32::from(byte), |state, _| (state >> 1) ^ (0xedb8_8320 * (state & 1)))
    })
}

/// Pillow refuses truncated files; a half-grey image must not reach the model unnoticed.
#[test]
fn truncated_files_are_refused() {
    for name in Recording::files() {
        let bytes = std::fs::read(file(&name)).expect("fixture");
        for part in [0, 3, bytes.len() / 4, bytes.len() / 2, bytes.len() * 9 / 10] {
            assert!(Decoding::default().bytes(&bytes[..part]).is_err(), "{name} cut to {part} bytes");
        }
    }
}

#[test]
fn settings_are_read_in_the_old_and_the_new_form() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("preprocessor_config.json");
    let read = |json: Value| {
        std::fs::write(&path, json.to_string()).expect("writable");
        ImageProcessor::from_folder(folder.path())
    };
    let limits = |json: Value| read(json).expect("supported").limits;
    assert_eq!(
        limits(serde_json::json!({"min_pixels": 3136, "max_pixels": 12845056, "image_processor_type": "any"})),
        PixelLimits::new(3136, 12_845_056)
    );
    assert_eq!(
        limits(
            serde_json::json!({"size": {"shortest_edge": 784, "longest_edge": 12544}, "rescale_factor": 0.00392156862745098})
        ),
        PixelLimits::new(784, 12_544)
    );
    assert_eq!(
        limits(
            serde_json::json!({"size": {"shortest_edge": 784, "longest_edge": 12544}, "max_pixels": 5000, "min_pixels": null})
        ),
        PixelLimits::new(784, 5_000)
    );
    assert_eq!(read(serde_json::json!({})).expect("presets"), ImageProcessor::default());
    let half = read(serde_json::json!({"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.5, 1.0]}));
    assert_eq!(half.expect("supported").std, [0.25, 0.5, 1.0]);

    for (key, value) in [
        ("patch_size", serde_json::json!(16)),
        ("do_normalize", serde_json::json!(false)),
        ("image_std", serde_json::json!([0.5, 0.0, 0.5])),
    ] {
        let error = read(serde_json::json!({key: value})).expect_err("not Qwen2.5-VL");
        assert!(matches!(&error, ModelError::UnsupportedPreprocessing { key: found, .. } if *found == key), "{error}");
    }

    std::fs::remove_file(&path).expect("removable");
    assert!(matches!(ImageProcessor::from_folder(folder.path()), Err(ModelError::ReadFile { .. })));
    let nested = serde_json::json!({"image_processor": {"size": {"shortest_edge": 784, "longest_edge": 1568}}});
    std::fs::write(folder.path().join("processor_config.json"), nested.to_string()).expect("writable");
    let processor = ImageProcessor::from_folder(folder.path()).expect("supported");
    assert_eq!(processor.limits, PixelLimits::new(784, 1_568));
}
