//! The models that are measured, by their sizes.

use clap::ValueEnum;
use vlm_model::{ModelConfig, SpecialTokens, TextConfig, VisionConfig};

/// Where the special tokens stand in `model/tokenizer.json`.
const TOKENS: SpecialTokens = SpecialTokens {
    bos: 8150,
    eos: 8152,
    vision_start: 8159,
    vision_end: 8160,
    vision_pad: 8161,
    image_pad: 8162,
    video_pad: 8163,
};

/// Which model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dimensions {
    /// 39.4 million parameters, vocabulary of 8 192
    Bench,
    /// Those of Qwen2.5-VL-3B
    #[value(name = "3b")]
    ThreeBillion,
    /// Those of Qwen2.5-VL-7B
    #[value(name = "7b")]
    SevenBillion,
}

impl Dimensions {
    /// As it is written on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bench => "bench",
            Self::ThreeBillion => "3b",
            Self::SevenBillion => "7b",
        }
    }

    /// The model's shape; `vocabulary` replaces the number of its tokens.
    pub(crate) fn config(self, vocabulary: Option<usize>) -> ModelConfig {
        let mut config = match self {
            Self::Bench => bench(),
            Self::ThreeBillion => released(2048, 11_008, 36, [16, 2], 151_936, true),
            Self::SevenBillion => released(3584, 18_944, 28, [28, 4], 152_064, false),
        };
        if let Some(vocabulary) = vocabulary {
            config.text.vocab_size = vocabulary;
        }
        config
    }
}

fn bench() -> ModelConfig {
    ModelConfig {
        text: TextConfig {
            vocab_size: 8192,
            hidden_size: 512,
            intermediate_size: 1408,
            num_hidden_layers: 8,
            num_attention_heads: 8,
            num_key_value_heads: 2,
            rms_norm_eps: 1e-6,
            rope_theta: 1_000_000.0,
            mrope_section: [8, 12, 12],
            max_position_embeddings: 128_000,
        },
        vision: VisionConfig {
            depth: 8,
            hidden_size: 320,
            intermediate_size: 864,
            num_heads: 8,
            out_hidden_size: 512,
            patch_size: 14,
            spatial_merge_size: 2,
            temporal_patch_size: 2,
            window_size: 112,
            fullatt_block_indexes: vec![1, 3, 5, 7],
            in_chans: 3,
        },
        tokens: TOKENS,
        tie_word_embeddings: true,
    }
}

fn released(
    width: usize,
    inner: usize,
    layers: usize,
    heads: [usize; 2],
    vocabulary: usize,
    tied: bool,
) -> ModelConfig {
    ModelConfig {
        text: TextConfig {
            vocab_size: vocabulary,
            hidden_size: width,
            intermediate_size: inner,
            num_hidden_layers: layers,
            num_attention_heads: heads[0],
            num_key_value_heads: heads[1],
            rms_norm_eps: 1e-6,
            rope_theta: 1_000_000.0,
            mrope_section: [16, 24, 24],
            max_position_embeddings: 128_000,
        },
        vision: VisionConfig {
            depth: 32,
            hidden_size: 1280,
            intermediate_size: 3420,
            num_heads: 16,
            out_hidden_size: width,
            patch_size: 14,
            spatial_merge_size: 2,
            temporal_patch_size: 2,
            window_size: 112,
            fullatt_block_indexes: vec![7, 15, 23, 31],
            in_chans: 3,
        },
        tokens: TOKENS,
        tie_word_embeddings: tied,
    }
}
