//! The crate's one error type.

use std::path::PathBuf;

/// Why a model, its processor or its files could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    // Files of a checkpoint.
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    ReadFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is larger than anything it could hold.
    #[error("{} has {bytes} bytes, the limit is {limit}; is it another file?", path.display())]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// A file could not be copied.
    #[error("cannot copy {} to {}: {source}", from.display(), to.display())]
    CopyFile {
        /// The original.
        from: PathBuf,
        /// The wanted copy.
        to: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A JSON file is not what it should be.
    #[error("cannot understand {}: {source}", path.display())]
    ParseFile {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },

    // Images.
    /// A file that is not a usable image.
    #[error("image {}: {source}", path.display())]
    ImageFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<Self>,
    },
    /// The bytes are not an image that can be decoded.
    #[error("cannot decode the image: {0}")]
    DecodeImage(#[from] image::ImageError),
    /// The image data ends before the image does.
    #[error("the image data ends early, after {bytes} bytes; fetch the file again")]
    TruncatedImage {
        /// Length of the data.
        bytes: usize,
    },
    /// An image is larger than allowed.
    #[error("image of {width}x{height} has {pixels} pixels, the limit is {limit}; shrink it or raise the limit")]
    ImageTooLarge {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
        /// Their product.
        pixels: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// An encoded image is larger than allowed.
    #[error("the encoded image has {bytes} bytes, the limit is {limit}; shrink it or raise the limit")]
    ImageBytes {
        /// Its size.
        bytes: u64,
        /// The most that is allowed.
        limit: u64,
    },
    /// An image has no pixels.
    #[error("image of {width}x{height} is empty")]
    EmptyImage {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
    },
    /// An image is too long and narrow for the model.
    #[error("image of {width}x{height} is too narrow; one side may be at most 200 times the other")]
    AspectRatio {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
    },
    /// An image that cannot be cut into whole merged patches.
    #[error("image of {width}x{height} cannot be cut into patches; resize both sides to multiples of 28 first")]
    UncutSize {
        /// Rows.
        height: u32,
        /// Columns.
        width: u32,
    },
    /// Bounds on the image area that no size can satisfy.
    #[error(
        "pixel limits {min_pixels}..={max_pixels} with factor {factor} are contradictory; \
         ask for 1 <= min_pixels <= max_pixels and factor >= 1"
    )]
    PixelLimits {
        /// What sides must be multiples of.
        factor: u32,
        /// Lower bound in pixels.
        min_pixels: u32,
        /// Upper bound in pixels.
        max_pixels: u32,
    },
    /// The checkpoint asks for image processing that is not Qwen2.5-VL's.
    #[error("{}: {key} is {found}, only {expected} is supported", path.display())]
    UnsupportedPreprocessing {
        /// The configuration file.
        path: PathBuf,
        /// The setting.
        key: &'static str,
        /// Its value.
        found: String,
        /// The value it must have.
        expected: String,
    },

    // Text.
    /// The tokenizer failed.
    #[error("tokenizer: {0}")]
    Tokenizer(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The tokenizer lacks a token that the model needs.
    #[error("the tokenizer has no token {token}; is this a Qwen2.5-VL checkpoint?")]
    MissingToken {
        /// The token as text.
        token: &'static str,
    },
    /// The folder holds no chat template.
    #[error("no chat template in {}; add chat_template.json or chat_template.jinja", folder.display())]
    MissingChatTemplate {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// The chat template is faulty or refused the messages.
    #[error("chat template: {0:#}")]
    ChatTemplate(#[from] minijinja::Error),
    /// A message contains the literal text of a token with a special meaning.
    #[error("message {message} contains the special token {token} as text; remove it or escape it")]
    SpecialTokenInText {
        /// Index of the message.
        message: usize,
        /// The token as text.
        token: String,
    },
    /// A prompt and its images do not fit together.
    #[error("the prompt has {pads} image placeholders but {images} images; give one image per placeholder")]
    ImageCount {
        /// Placeholders in the rendered prompt.
        pads: usize,
        /// Images handed over.
        images: usize,
    },

    // Configuration and weights.
    /// A configuration the model cannot be built from.
    #[error("the model configuration cannot be used: {reason}")]
    InvalidConfig {
        /// What is wrong, with the values.
        reason: String,
    },
    /// A folder without weights.
    #[error("{} holds neither model.safetensors nor model.safetensors.index.json", folder.display())]
    NoWeights {
        /// The folder.
        folder: PathBuf,
    },
    /// A weight file that is truncated or not in safetensors format.
    #[error("{} is damaged: {source}; fetch or write it again", path.display())]
    DamagedWeights {
        /// The file.
        path: PathBuf,
        /// What the format's reader said.
        source: safetensors::SafeTensorError,
    },
    /// The directory of a weight file is larger than allowed.
    #[error("the header of {} has {bytes} bytes, the limit is {limit}; fetch or write the file again", path.display())]
    HeaderTooLarge {
        /// The file.
        path: PathBuf,
        /// What the file says of its header.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// An index that points outside its folder.
    #[error("{}: tensor `{tensor}` is in the file `{name}`, which is not a plain file name in its folder", index.display())]
    FileOutsideFolder {
        /// The index.
        index: PathBuf,
        /// The entry.
        tensor: String,
        /// The name it gives.
        name: String,
    },
    /// A tensor the model needs is not in the checkpoint.
    #[error("tensor `{name}` is missing from {place}")]
    MissingTensor {
        /// Its Hub name.
        name: String,
        /// Where it was looked for.
        place: String,
    },
    /// A tensor of the checkpoint that no part of the model asked for.
    #[error(
        "tensor `{name}` of {} belongs to no part of the model (and {others} more); \
         is this another architecture or another naming?",
        path.display()
    )]
    UnexpectedTensor {
        /// Its name.
        name: String,
        /// The file that holds it.
        path: PathBuf,
        /// How many more there are.
        others: usize,
    },
    /// A tensor stored twice.
    #[error("tensor `{name}` occurs a second time in {}", path.display())]
    DuplicateTensor {
        /// Its Hub name.
        name: String,
        /// The file of the second occurrence.
        path: PathBuf,
    },
    /// A tensor of the wrong shape.
    #[error("tensor `{name}` has shape {found:?}, the configuration asks for {expected:?}")]
    TensorShape {
        /// Its Hub name.
        name: String,
        /// Shape by the configuration.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A tensor in a number format that is not supported.
    #[error("tensor `{name}` is stored as {found}; only F32, BF16 and F16 are read")]
    TensorType {
        /// Its Hub name.
        name: String,
        /// The format found.
        found: String,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    WriteFile {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A weight file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    WriteWeights {
        /// The file.
        path: PathBuf,
        /// What the format's writer said.
        source: safetensors::SafeTensorError,
    },

    // Batches.
    /// A prompt without tokens.
    #[error("the prompt has no tokens")]
    EmptyPrompt,
    /// A token id the embedding has no row for.
    #[error("token {id} lies outside the vocabulary of {vocab_size}")]
    TokenOutsideVocabulary {
        /// The id.
        id: u32,
        /// Rows of the embedding.
        vocab_size: usize,
    },
    /// Placeholders and image features differ in number.
    #[error("{placeholders} image placeholders stand for {features} image features")]
    ImageTokenCount {
        /// Placeholders in the prompt.
        placeholders: usize,
        /// Features of the images.
        features: usize,
    },
}
