use vlm_model::image_input::ImagePatches;
use vlm_model::vision::geometry::Geometry;

use crate::fixtures::{Recorded, assert_close, host, model};

/// Windows, frames and patch places, for a grid that is not a multiple of the window and for three images at once.
#[test]
fn geometry_is_exact() {
    let recorded = Recorded::open("vision");
    let config = model("tiny-tied-f32-saved").config.vision;
    for case in ["W", "A+C+B"] {
        let geometry = Geometry::new(&recorded.grids(&format!("{case}/grid_thw")), &config);
        assert_eq!(geometry.window_index, recorded.indices(&format!("{case}/window_index")), "{case}");
        let boundaries = |lengths: &[usize]| {
            let mut total = 0;
            let ends = lengths.iter().map(|length| {
                total += length;
                total
            });
            std::iter::once(0).chain(ends).collect::<Vec<_>>()
        };
        let windows = recorded.indices(&format!("{case}/cu_window_seqlens"));
        assert_eq!(boundaries(&geometry.window_lengths), windows, "{case}");
        assert_eq!(boundaries(&geometry.frame_lengths), recorded.indices(&format!("{case}/cu_seqlens")), "{case}");
        let positions: Vec<usize> = geometry.positions.iter().flatten().copied().collect();
        assert_eq!(positions, recorded.indices(&format!("{case}/pos_hw")), "{case}");
    }
}

/// Patch embedding, every recorded block and the image tokens. Activations reach about 30, hence 1e-4 for the blocks.
#[test]
fn every_stage_agrees() {
    let recorded = Recorded::open("vision");
    let model = model("tiny-tied-f32-saved");
    for case in ["W", "A+C+B"] {
        let images = recorded.images(&format!("{case}/pixel_values"), &format!("{case}/grid_thw"));
        let mut stages = Vec::new();
        let features =
            model.visual.forward_observed(&images.iter().collect::<Vec<_>>(), |stage| stages.push(stage.clone()));
        assert_close(
            &format!("{case}/patch_embed"),
            &host(&stages[0]),
            recorded.values(&format!("{case}/patch_embed")),
            2e-5,
        );
        for (index, block) in stages[1..].iter().enumerate() {
            let name = format!("{case}/block_{index}");
            if recorded.has(&name) {
                assert_close(&name, &host(block), recorded.values(&name), 1e-4);
            }
        }
        assert_close(
            &format!("{case}/image_embeds"),
            &host(&features),
            recorded.values(&format!("{case}/image_embeds")),
            2e-5,
        );
    }
}

/// An image's tokens do not depend on what else is in the batch.
#[test]
fn batch_equals_single() {
    let recorded = Recorded::open("vision");
    let model = model("tiny-tied-f32-saved");
    let images = recorded.images("A+C+B/pixel_values", "A+C+B/grid_thw");
    let together = host(&model.visual.forward(&images.iter().collect::<Vec<_>>()));
    let alone: Vec<f64> =
        images.iter().flat_map(|image: &ImagePatches| host(&model.visual.forward(&[image]))).collect();
    assert_close("batched against single image tokens", &together, &alone, 1e-5);
}
