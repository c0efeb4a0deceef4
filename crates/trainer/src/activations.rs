//! What a pass of the update keeps for its backward pass, estimated from shapes.
//!
//! With `w` the width of the hidden states, `f` the inner width of a feed-forward layer, `k` the width of all key heads and
//! `h` the number of heads, a language layer keeps so many numbers of 4 bytes for each token:
//!
//! - On the CPU, where operations are fused, `6 w + 2 k + 3 f + h`: of each of two norms its input and its output; queries,
//!   keys, values, what attention makes of them, and a sum for each head; of the feed-forward layer gate, other branch, and their
//!   product.
//! - Elsewhere `9 w + 2 k + 5 f`, and `h` for each pair of tokens that attend: the norms' normed values, attention before it is
//!   normalized, and the gate after the sigmoid and after it all too.
//!
//! A block of the vision tower keeps the same for each patch with the tower's widths and `k = w`, and thrice the pairs. Where
//! layers are computed again, all of them keep `w` for each token, and one of them at a time the rest.

use vlm_model::ModelConfig;

use crate::collect::Group;
use crate::micro_batch::Piece;

/// Bytes of a number.
const NUMBER: f64 = 4.0;

/// What counts of a pass. Real numbers, since what is asked for may be more than can be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct PassSizes {
    /// Tokens of prompts and responses.
    pub(crate) tokens: f64,
    /// Pairs of tokens of which one may attend to the other.
    pub(crate) pairs: f64,
    /// Image patches, before they are merged; 0 where the tower is not trained.
    pub(crate) patches: f64,
    /// Pairs of patches of the same image.
    pub(crate) patch_pairs: f64,
}

impl PassSizes {
    /// Of some pieces; `vision` if the tower is trained.
    pub(crate) fn of(groups: &[Group], pieces: &[Piece], vision: bool) -> Self {
        let mut sizes = Self::default();
        for piece in pieces {
            let group = &groups[piece.group];
            sizes.add_prompt(group.task.prompt.ids.len());
            for completion in &group.completions[piece.responses.clone()] {
                sizes.add_response(group.task.prompt.ids.len(), completion.tokens.len());
            }
            for image in group.task.patches.iter().filter(|_| vision) {
                sizes.add_image(image.grid.t * image.grid.h * image.grid.w);
            }
        }
        sizes
    }

    /// Adds a prompt of so many tokens.
    pub(crate) fn add_prompt(&mut self, tokens: usize) {
        let tokens = tokens as f64;
        self.tokens += tokens;
        self.pairs += tokens * tokens;
    }

    /// Adds a response to a prompt.
    pub(crate) fn add_response(&mut self, prompt: usize, tokens: usize) {
        let (prompt, tokens) = (prompt as f64, tokens as f64);
        self.tokens += tokens;
        self.pairs += tokens * (prompt + tokens);
    }

    /// Adds an image of so many patches.
    pub(crate) fn add_image(&mut self, patches: usize) {
        let patches = patches as f64;
        self.patches += patches;
        self.patch_pairs += patches * patches;
    }
}

/// How a pass is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Computed {
    /// By fused operations, as on the CPU.
    pub(crate) fused: bool,
    /// With layers that are computed again.
    pub(crate) recompute: bool,
}

/// Bytes that a pass keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Activations {
    /// Of the language model.
    pub(crate) language: f64,
    /// Of the vision tower.
    pub(crate) vision: f64,
}

impl Activations {
    /// Of a pass of this size.
    pub(crate) fn of(model: &ModelConfig, sizes: &PassSizes, how: Computed) -> Self {
        let Computed { fused, recompute } = how;
        let (text, tower) = (&model.text, &model.vision);
        let language = Stack {
            layers: text.num_hidden_layers as f64,
            width: text.hidden_size as f64,
            inner: text.intermediate_size as f64,
            keys: (text.num_key_value_heads * model.head_width()) as f64,
            heads: text.num_attention_heads as f64,
        };
        let vision = Stack {
            layers: tower.depth as f64,
            width: tower.hidden_size as f64,
            inner: tower.intermediate_size as f64,
            keys: tower.hidden_size as f64,
            heads: tower.num_heads as f64,
        };
        // A window's patches are a share of the image's; blocks that see a whole frame have all pairs.
        let side = tower.window_size / tower.patch_size;
        let full = tower.fullatt_block_indexes.iter().filter(|&&block| block < tower.depth).count() as f64;
        let of_window = (sizes.patches * (side * side) as f64).min(sizes.patch_pairs);
        let of_frame = if recompute { sizes.patch_pairs } else { full * sizes.patch_pairs };
        let of_windows = if recompute { 0.0 } else { (vision.layers - full) * of_window };
        let of_tokens = if recompute { 1.0 } else { language.layers } * language.heads * sizes.pairs;
        let of_patches = 3.0 * vision.heads * (of_frame + of_windows);
        let of_pairs = if fused { 0.0 } else { NUMBER };
        Self {
            language: NUMBER * sizes.tokens * language.per_token(how) + of_pairs * of_tokens,
            vision: NUMBER * sizes.patches * vision.per_token(how) + of_pairs * of_patches,
        }
    }

    /// All of them.
    pub(crate) fn total(&self) -> f64 {
        self.language + self.vision
    }
}

/// Sizes of a stack of transformer layers.
struct Stack {
    layers: f64,
    width: f64,
    inner: f64,
    keys: f64,
    heads: f64,
}

impl Stack {
    /// Numbers kept per token for the backward pass, attention's pairs apart.
    fn per_token(&self, Computed { fused, recompute }: Computed) -> f64 {
        let Self { layers, width, inner, keys, heads } = self;
        let of_layer =
            if fused { 6.0 * width + 2.0 * keys + 3.0 * inner + heads } else { 9.0 * width + 2.0 * keys + 5.0 * inner };
        if recompute { layers * width + of_layer } else { layers * of_layer }
    }
}
