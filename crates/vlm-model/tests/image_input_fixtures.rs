//! Images against values recorded from Pillow 13 and transformers 5.23 (`tests/fixtures/scripts/fx_image.py` and
//! `fx_jpeg.py`).

use std::path::{Path, PathBuf};

use image::{ImageBuffer, Luma, LumaA, Rgb, RgbImage};
use safetensors::SafeTensors;
use serde::Deserialize;
use serde_json::Value;
use vlm_model::ModelError;
use vlm_model::image_input::{
    Decoding, ExifOrientation, ImageProcessor, ImageSize, PATCH_VALUES, PixelLimits, Transparency, pre_resize,
    resize_bicubic, smart_resize,
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

/// By how many of 255 levels two images of one size are apart where they are furthest apart.
fn largest_difference(left: &RgbImage, right: &RgbImage) -> u8 {
    assert_eq!(ImageSize::of(left), ImageSize::of(right));
    left.as_raw().iter().zip(right.as_raw()).map(|(&left, &right)| left.abs_diff(right)).max().expect("pixels")
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
            assert_eq!(largest_difference(found, &expected), 0, "{name}: {variant}");
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

/// A file of `fx_jpeg.py`: the JPEG, or what Pillow makes of it as PNG.
fn jpeg_file(name: &str) -> PathBuf {
    Path::new(FIXTURES).join("jpeg").join(name)
}

/// Progressive with restart markers and color halved in one direction, grey, and subsampled CMYK, all with odd sides.
#[test]
fn other_jpeg_codings_decode_to_the_recorded_rgb() {
    for name in ["progressive_37x53", "grey_31x19", "cmyk_33x21"] {
        let [found, expected] = ["jpg", "png"].map(|extension| jpeg_file(&format!("{name}.{extension}")));
        let [found, expected] = [found, expected].map(|path| Decoding::default().file(&path).expect("decodes"));
        assert_eq!(largest_difference(&found, &expected), 0, "{name}");
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
        assert_eq!(largest_difference(&found, &expected), 0, "{name}");
    }
}

#[test]
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

        let found = processor.patches(&decoding.file(&file(&name)).expect("decodes")).expect("processable");
        assert_eq!(found.pixels.len(), found.grid.patches() * PATCH_VALUES);
        assert_eq!(found.pixels, expected, "{name}: from the file");
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
    let ModelError::ImageFile { path, source } = error else { panic!("{error}") };
    assert!(path.ends_with("rgb_113x85.png"));
    assert!(
        matches!(*source, ModelError::ImageTooLarge { height: 85, width: 113, pixels: 9605, limit: 9604 }),
        "{source}"
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

    let mut bytes = std::fs::read(file("rgb_300x200_q90.jpg")).expect("fixture");
    let frame = position(&bytes, [0xff, 0xc0]);
    bytes[frame + 5..frame + 9].copy_from_slice(&[0xb0, 0, 0xb0, 0]);
    let error = Decoding::default().bytes(&bytes).expect_err("45 056 squared");
    assert!(matches!(error, ModelError::ImageTooLarge { pixels: 2_030_043_136, .. }), "{error}");
}

/// Where a JPEG segment begins.
fn position(jpeg: &[u8], marker: [u8; 2]) -> usize {
    jpeg.windows(2).position(|pair| pair == marker).expect("the file has the segment")
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
fn a_jpeg_cut_anywhere_is_refused() {
    let bytes = std::fs::read(jpeg_file("progressive_37x53.jpg")).expect("fixture");
    for length in 0..bytes.len() {
        assert!(Decoding::default().bytes(&bytes[..length]).is_err(), "cut to {length} bytes");
    }
}

#[test]
fn a_jpeg_with_a_damaged_table_is_refused() {
    let mut bytes = std::fs::read(file("rgb_300x200_q90.jpg")).expect("fixture");
    let table = position(&bytes, [0xff, 0xc4]);
    // More codes of one bit than one bit can tell apart.
    bytes[table + 5] = 0xff;
    let error = Decoding::default().bytes(&bytes).expect_err("no such code");
    assert!(matches!(&error, ModelError::DecodeImage(image::ImageError::Decoding(_))), "{error}");
    assert!(error.to_string().contains("Huffman table"), "{error}");
}

/// The decoder unwinds on damage; no byte may let that through. What can be decoded is decoded, as in Pillow.
#[test]
fn damage_to_any_byte_of_a_jpeg_gives_an_image_or_an_error() {
    let decoding = Decoding { max_pixels: 1 << 20, ..Decoding::default() };
    for name in ["progressive_37x53.jpg", "grey_31x19.jpg", "cmyk_33x21.jpg"] {
        let mut bytes = std::fs::read(jpeg_file(name)).expect("fixture");
        let mut refused = 0;
        for index in 0..bytes.len() {
            let intact = bytes[index];
            for damage in [0x01, 0x80, 0xff] {
                bytes[index] = intact ^ damage;
                refused += usize::from(decoding.bytes(&bytes).is_err());
            }
            bytes[index] = intact;
        }
        assert!(refused > 0, "{name}");
        assert!(decoding.bytes(&bytes).is_ok(), "{name}");
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
    for no_object in ["[]", "5", "null", "{}"] {
        std::fs::write(folder.path().join("processor_config.json"), no_object).expect("writable");
        let error = ImageProcessor::from_folder(folder.path()).expect_err(no_object);
        assert!(matches!(error, ModelError::ParseFile { .. }), "{no_object}: {error}");
    }
}

/// Sizes on the way from the file to the model, as an independent implementation of both resizes has them: first into the
/// trainer's pixel budget, where there is one, then to the processor's multiples of 28.
#[test]
fn sizes_on_the_way_to_the_model_agree() {
    let golden: Value = serde_json::from_str(include_str!("../../../tests/fixtures/credit/golden.json")).expect("JSON");
    let cases = golden["cases"]["image_dims"].as_array().expect("a list of cases");
    assert_eq!(Some(cases.len() as u64), golden["meta"]["counts"]["image_dims"].as_u64());
    for case in cases {
        let (id, given, expected) = (&case["id"], &case["in"], &case["out"]);
        let pixels = |key: &str| given[key].as_u64().map(|count| u32::try_from(count).expect("a count of pixels"));
        let pair = |size: ImageSize| serde_json::json!([size.width, size.height]);
        let size = ImageSize { height: pixels("height").expect("a side"), width: pixels("width").expect("a side") };
        let before = match (pixels("min_pixels"), pixels("max_pixels")) {
            (Some(min), Some(max)) => pre_resize(size, min, max).expect("a size that can be resized"),
            _ => size,
        };
        assert_eq!(pair(before), expected["pre"], "{id}");
        let limit = |key| pixels(key).expect("a limit");
        let limits = PixelLimits::new(limit("processor_min_pixels"), limit("processor_max_pixels"));
        assert_eq!(Some(limits.factor), pixels("factor"), "{id}");
        let last = smart_resize(before, &limits).expect("a size that can be resized");
        assert_eq!(pair(last), expected["final"], "{id}");
        let processor = ImageProcessor { limits, ..ImageProcessor::default() };
        let grid = processor.grid(before).expect("a size that can be resized");
        assert_eq!(serde_json::json!([grid.h, grid.w]), expected["grid_hw"], "{id}");
        assert_eq!(serde_json::json!(grid.tokens()), expected["tokens"], "{id}");
    }
}
