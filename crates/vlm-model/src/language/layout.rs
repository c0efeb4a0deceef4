//! Where each group's tokens lie in a packed batch, and who may see whom: made once per batch, used by every layer.

use burn::tensor::{Device, Int, Tensor};

use crate::batch::{PromptTokens, TokenBatch};
use crate::cache::hiding_bias;
use crate::indices::index_tensor;

/// The layout of all groups.
pub(crate) struct Layout {
    pub(crate) groups: Vec<GroupLayout>,
}

/// The layout of one group.
pub(crate) struct GroupLayout {
    pub(crate) prompt: Option<PromptLayout>,
    pub(crate) responses: Option<ResponseLayout>,
}

/// A prompt: one run of tokens, causal.
pub(crate) struct PromptLayout {
    pub(crate) start: usize,
    pub(crate) length: usize,
    /// 0 where a query (row) sees a key (column), −∞ elsewhere; `[prompt, prompt]`.
    pub(crate) bias: Tensor<2>,
    /// −∞ at keys hidden from the responses too; `[prompt]`.
    pub(crate) hidden: Option<Tensor<1>>,
}

/// The responses of a group, seen as a rectangle `[rows, longest]`.
pub(crate) struct ResponseLayout {
    pub(crate) start: usize,
    /// Packed tokens of all responses.
    pub(crate) length: usize,
    pub(crate) rows: usize,
    pub(crate) longest: usize,
    /// From the packed run to the rectangle and back; `None` if all responses are equally long.
    pub(crate) ragged: Option<Ragged>,
    /// Causal bias inside a response, `[longest, longest]`; `None` for single tokens.
    pub(crate) bias: Option<Tensor<2>>,
}

/// Index lists between a packed run and its rectangle.
pub(crate) struct Ragged {
    /// For each place of the rectangle the packed token that fills it. Places past a response's end repeat some token;
    /// no query before them sees them.
    pub(crate) to_rectangle: Tensor<1, Int>,
    /// For each packed token its place in the rectangle.
    pub(crate) to_packed: Tensor<1, Int>,
}

impl Layout {
    pub(crate) fn new(batch: &TokenBatch, device: &Device) -> Self {
        let mut start = 0;
        let groups = batch.groups.iter().map(|group| {
            let prompt = group.prompt.as_ref().map(|prompt| PromptLayout::new(prompt, start, device));
            start += prompt.as_ref().map_or(0, |prompt| prompt.length);
            let responses = ResponseLayout::new(&group.responses, start, device);
            start += responses.as_ref().map_or(0, |responses| responses.length);
            GroupLayout { prompt, responses }
        });
        Self { groups: groups.collect() }
    }
}

impl PromptLayout {
    fn new(prompt: &PromptTokens, start: usize, device: &Device) -> Self {
        let length = prompt.ids.len();
        let hidden = (prompt.blind && prompt.image_tokens() > 0).then(|| hiding_bias(&prompt.visual, device));
        let causal = causal_bias(length, device);
        let bias = match &hidden {
            // A hidden token still sees itself: its own output is never used, and a row of −∞ alone would be undefined.
            Some(hidden) => {
                let own = Tensor::<2>::eye(length, device).bool();
                causal + hidden.clone().unsqueeze::<2>().expand([length, length]).mask_fill(own, 0.0)
            }
            None => causal,
        };
        Self { start, length, bias, hidden }
    }
}

impl ResponseLayout {
    fn new(responses: &[Vec<u32>], start: usize, device: &Device) -> Option<Self> {
        let lengths: Vec<usize> = responses.iter().map(Vec::len).collect();
        let (rows, length) = (lengths.len(), lengths.iter().sum());
        let longest = lengths.iter().copied().max().filter(|&longest| longest > 0)?;
        let ragged = (rows * longest != length).then(|| Ragged::new(&lengths, longest, device));
        let bias = (longest > 1).then(|| causal_bias(longest, device));
        Some(Self { start, length, rows, longest, ragged, bias })
    }

    /// # Shapes
    /// - `packed`: `[tokens of all responses, heads, head width]`
    /// - returns `[rows, longest, heads, head width]`
    pub(crate) fn rectangle(&self, packed: Tensor<3>) -> Tensor<4> {
        let [_, heads, width] = packed.dims();
        let filled = match &self.ragged {
            Some(ragged) => packed.select(0, ragged.to_rectangle.clone()),
            None => packed,
        };
        filled.reshape([self.rows, self.longest, heads, width])
    }

    /// # Shapes
    /// - `rectangle`: `[rows · longest, width]`
    /// - returns `[tokens of all responses, width]`
    pub(crate) fn packed(&self, rectangle: Tensor<2>) -> Tensor<2> {
        match &self.ragged {
            Some(ragged) => rectangle.select(0, ragged.to_packed.clone()),
            None => rectangle,
        }
    }
}

impl Ragged {
    fn new(lengths: &[usize], longest: usize, device: &Device) -> Self {
        let mut to_rectangle = Vec::with_capacity(lengths.len() * longest);
        let mut to_packed = Vec::new();
        let mut first = 0;
        for (row, &length) in lengths.iter().enumerate() {
            to_rectangle.extend(first..first + length);
            to_rectangle.resize((row + 1) * longest, 0);
            to_packed.extend(row * longest..row * longest + length);
            first += length;
        }
        Self { to_rectangle: index_tensor(&to_rectangle, device), to_packed: index_tensor(&to_packed, device) }
    }
}

/// 0 on and below the diagonal, −∞ above.
fn causal_bias(length: usize, device: &Device) -> Tensor<2> {
    let above = Tensor::<2, burn::tensor::Bool>::tril_mask([length, length], 0, device);
    Tensor::zeros([length, length], device).mask_fill(above, f32::NEG_INFINITY)
}
