//! Keys and values of what has been read already.
//!
//! Each group keeps its prompt once and, for every response still being written, that response's own tokens. The own part
//! grows by blocks and is written in place.

use burn::tensor::{Device, Tensor, s};
use kernels::CachedKeys;

use crate::indices::index_tensor;

/// Tokens by which a response's part grows when it is full.
const BLOCK: usize = 64;

/// The cache of several groups.
#[derive(Debug, Default)]
pub struct KeyValueCache {
    pub(crate) groups: Vec<GroupCache>,
}

/// A prompt that was read, to be continued by a group of its own. It shares its tensors with the cache it is from.
#[derive(Clone, Debug)]
pub struct CachedPrompt {
    next_position: usize,
    /// For each layer its keys and values, and what hides some of them.
    layers: Vec<((Tensor<3>, Tensor<3>), Option<Tensor<1>>)>,
}

/// One prompt and the responses that continue it.
#[derive(Debug)]
pub(crate) struct GroupCache {
    /// M-RoPE position of the next response token.
    pub(crate) next_position: usize,
    /// Responses still being written; zero until the first of them has a token.
    pub(crate) rows: usize,
    pub(crate) layers: Vec<LayerCache>,
}

/// One group's keys and values in one layer.
#[derive(Debug)]
pub(crate) struct LayerCache {
    /// The prompt's keys and values, `[key heads, prompt, head width]`.
    pub(crate) prompt: (Tensor<3>, Tensor<3>),
    /// Hides prompt keys where it is −∞, `[prompt]`; `None` hides nothing.
    pub(crate) prompt_bias: Option<Tensor<1>>,
    own: Option<OwnTokens>,
}

/// The responses' own keys and values, `[key heads, rows, capacity, head width]`, filled up to `length`.
#[derive(Debug)]
struct OwnTokens {
    keys: Tensor<4>,
    values: Tensor<4>,
    length: usize,
}

impl KeyValueCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of groups.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The prompt of a group that was read and not yet continued.
    ///
    /// # Panics
    /// If there is no such group, or it was continued.
    #[must_use]
    pub fn prompt(&self, group: usize) -> CachedPrompt {
        let group = &self.groups[group];
        assert_eq!(group.rows, 0, "a prompt is taken before responses continue it");
        let layers = group.layers.iter().map(|layer| (layer.prompt.clone(), layer.prompt_bias.clone()));
        CachedPrompt { next_position: group.next_position, layers: layers.collect() }
    }

    /// Opens the next group with a prompt that was read before.
    pub fn open(&mut self, prompt: &CachedPrompt) {
        let layers = prompt.layers.iter().cloned().map(|(keys, bias)| LayerCache::new(keys, bias)).collect();
        self.groups.push(GroupCache { next_position: prompt.next_position, rows: 0, layers });
    }

    /// Keeps only some of a group's responses, named by their present rows.
    ///
    /// # Panics
    /// If the group or a row does not exist.
    pub fn keep_rows(&mut self, group: usize, rows: &[usize]) {
        let group = &mut self.groups[group];
        group.rows = rows.len();
        for layer in &mut group.layers {
            if let Some(own) = &mut layer.own {
                let index = index_tensor(rows, &own.keys.device());
                own.keys.inplace(|keys| keys.select(1, index.clone()));
                own.values.inplace(|values| values.select(1, index));
            }
        }
    }

    /// Forgets the groups for which `keep` is false.
    ///
    /// # Panics
    /// If `keep` is not as long as the cache.
    pub fn retain_groups(&mut self, keep: &[bool]) {
        assert_eq!(keep.len(), self.groups.len(), "one flag per group");
        let mut flags = keep.iter();
        self.groups.retain(|_| flags.next().copied().unwrap_or(false));
    }
}

impl LayerCache {
    pub(crate) fn new(prompt: (Tensor<3>, Tensor<3>), prompt_bias: Option<Tensor<1>>) -> Self {
        Self { prompt, prompt_bias, own: None }
    }

    /// Appends one token per response.
    ///
    /// # Shapes
    /// - `keys`, `values`: `[key heads, rows, 1, head width]`
    pub(crate) fn append(&mut self, keys: Tensor<4>, values: Tensor<4>) {
        let own = self.own.take().map_or_else(|| OwnTokens::empty(&keys), OwnTokens::with_room);
        let own = self.own.insert(own);
        let place = own.length..own.length + 1;
        own.keys.inplace(|all| all.slice_assign(s![.., .., place.clone(), ..], keys));
        own.values.inplace(|all| all.slice_assign(s![.., .., place, ..], values));
        own.length += 1;
    }

    /// All that is cached, for the next query of each response.
    ///
    /// # Panics
    /// If no token has been appended.
    pub(crate) fn keys(&self) -> CachedKeys<'_> {
        let own = self.own.as_ref().expect("a token of each response");
        CachedKeys {
            context: (&self.prompt.0, &self.prompt.1),
            context_bias: self.prompt_bias.as_ref(),
            own: (&own.keys, &own.values),
            filled: own.length,
        }
    }
}

impl OwnTokens {
    fn empty(like: &Tensor<4>) -> Self {
        let [heads, rows, _, width] = like.dims();
        let room = || Tensor::zeros([heads, rows, BLOCK, width], (&like.device(), like.dtype()));
        Self { keys: room(), values: room(), length: 0 }
    }

    fn with_room(self) -> Self {
        let [heads, rows, capacity, width] = self.keys.dims();
        if self.length < capacity {
            return self;
        }
        let room =
            Tensor::zeros([heads, rows, BLOCK.max(capacity / 2), width], (&self.keys.device(), self.keys.dtype()));
        Self {
            keys: Tensor::cat(vec![self.keys, room.clone()], 2),
            values: Tensor::cat(vec![self.values, room], 2),
            length: self.length,
        }
    }
}

/// A row of zeros with −∞ where `hidden`.
pub(crate) fn hiding_bias(hidden: &[bool], device: &Device) -> Tensor<1> {
    let values: Vec<f32> = hidden.iter().map(|&hidden| if hidden { f32::NEG_INFINITY } else { 0.0 }).collect();
    Tensor::from_floats(values.as_slice(), device)
}
