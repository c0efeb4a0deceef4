//! Files that are too large, at the very boundary.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use vlm_model::image_input::Decoding;
use vlm_model::text_input::{ChatTemplate, Message, RenderOptions, Role, Tokenizer};
use vlm_model::{
    Checkpoint, MAX_JSON_BYTES, MAX_TEMPLATE_BYTES, MAX_TOKENIZER_BYTES, MAX_WEIGHTS_HEADER_BYTES, ModelConfig,
    ModelError,
};

/// `text` with blanks behind it, `bytes` in all.
fn padded(path: &Path, text: &[u8], bytes: u64) {
    let mut content = text.to_vec();
    content.resize(bytes as usize, b' ');
    fs::write(path, content).expect("a writable folder");
}

/// Whether it was refused for its size; then the error names the file and both numbers.
#[track_caller]
fn is_too_large(error: &ModelError, path: &Path, limit: u64) -> bool {
    let text = error.to_string();
    let too_large = matches!(error, ModelError::FileTooLarge { .. } | ModelError::HeaderTooLarge { .. });
    if too_large {
        assert!(text.contains(&format!("{} bytes, the limit is {limit};", limit + 1)), "{text}");
        assert!(text.contains(&path.display().to_string()), "{text}");
    }
    too_large
}

#[test]
fn files_are_read_up_to_their_limit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (place, limit) = (folder.path(), MAX_JSON_BYTES);
    type Open = fn(&Path) -> Result<(), ModelError>;
    let cases: [(&str, &[u8], u64, Open); 4] = [
        ("config.json", b"{}", limit, |folder| ModelConfig::from_folder(folder).map(drop)),
        ("model.safetensors.index.json", br#"{"weight_map": {}}"#, limit, |folder| Checkpoint::open(folder).map(drop)),
        ("tokenizer.json", b"{}", MAX_TOKENIZER_BYTES, |folder| {
            Tokenizer::from_file(&folder.join("tokenizer.json")).map(drop)
        }),
        ("chat_template.jinja", b"{{ 1 }}", MAX_TEMPLATE_BYTES, |folder| ChatTemplate::from_folder(folder).map(drop)),
    ];
    for (name, text, limit, open) in cases {
        let path = place.join(name);
        padded(&path, text, limit);
        if let Err(error) = open(place) {
            assert!(!is_too_large(&error, &path, limit), "at the limit: {error}");
        }
        padded(&path, text, limit + 1);
        let error = open(place).expect_err("above the limit");
        assert!(is_too_large(&error, &path, limit), "{error}");
    }
}

#[test]
fn headers_of_weight_files_are_read_up_to_their_limit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    // Zeros that take no room on the disk; what the file says of its header decides.
    let write = |bytes: u64| {
        let mut file = File::create(&path).expect("a writable folder");
        file.write_all(&bytes.to_le_bytes()).expect("room");
        file.set_len(8 + bytes.min(MAX_WEIGHTS_HEADER_BYTES + 1)).expect("room");
    };
    write(MAX_WEIGHTS_HEADER_BYTES);
    let error = Checkpoint::open(folder.path()).expect_err("zeros are no header");
    assert!(matches!(error, ModelError::DamagedWeights { .. }), "at the limit: {error}");
    write(MAX_WEIGHTS_HEADER_BYTES + 1);
    let error = Checkpoint::open(folder.path()).expect_err("above the limit");
    assert!(is_too_large(&error, &path, MAX_WEIGHTS_HEADER_BYTES), "{error}");
    write(u64::MAX);
    let error = Checkpoint::open(folder.path()).expect_err("above any limit");
    assert!(matches!(error, ModelError::HeaderTooLarge { bytes: u64::MAX, .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn a_folder_is_no_weight_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("model.safetensors")).expect("a writable folder");
    let error = Checkpoint::open(folder.path()).expect_err("a folder").to_string();
    assert!(error.contains("model.safetensors") && error.contains("not a regular file"), "{error}");
}

/// Encoded images, from a file and from memory.
#[test]
fn encoded_images_are_read_up_to_their_limit() {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/image/files/rgb_113x85.png"));
    let content = fs::read(path).expect("a fixture");
    let bytes = content.len() as u64;
    let at = Decoding { max_bytes: bytes, ..Decoding::default() };
    assert!(at.file(path).is_ok() && at.bytes(&content).is_ok());
    let below = Decoding { max_bytes: bytes - 1, ..Decoding::default() };
    for error in [below.file(path).expect_err("a file"), below.bytes(&content).expect_err("bytes")] {
        let text = error.to_string();
        assert!(text.contains(&format!("{bytes} bytes, the limit is {};", bytes - 1)), "{text}");
    }
    assert!(below.file(path).expect_err("a file").to_string().contains("rgb_113x85.png"));
}

/// A template ends, whatever it says, and a long one for a long conversation does what it should.
#[test]
fn templates_take_a_bounded_number_of_steps() {
    let render = |source: &str, messages: &[Message]| {
        ChatTemplate::new(source).and_then(|template| template.render(messages, RenderOptions::default()))
    };
    let endless = "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}";
    let error = render(endless, &[]).expect_err("too many steps").to_string();
    assert!(error.contains("fuel"), "{error}");
    let turns = vec![Message::text(Role::User, "a"); 1000];
    let text = render("{% for turn in messages %}{{ turn.content[0].text }}{% endfor %}", &turns);
    assert_eq!(text.expect("a thousand turns").len(), 1000);
    let error = ChatTemplate::new("x".repeat(MAX_TEMPLATE_BYTES as usize + 1)).expect_err("too long").to_string();
    assert!(error.contains("65537 bytes") && error.contains("limit is 65536"), "{error}");
    assert!(ChatTemplate::new("x".repeat(MAX_TEMPLATE_BYTES as usize)).is_ok());
}

/// Chains of operators as long as a template can be: the compiler calls itself for each.
#[test]
fn chains_of_operators_do_not_exhaust_the_stack() {
    let most = MAX_TEMPLATE_BYTES as usize;
    let chain = |operator: &str| format!("{{{{ 1{} }}}}", operator.repeat((most - 16) / operator.len()));
    let alternatives = format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 0 %}".repeat((most - 32) / 12));
    let negations = format!("{{{{ {}1 }}}}", "-".repeat(most - 16));
    for source in [chain(".a"), chain("~1"), chain("|f"), chain(" is a"), alternatives, negations] {
        // Whether it can be rendered is another matter.
        let shown: String = source.chars().take(20).collect();
        let _ = ChatTemplate::new(source).unwrap_or_else(|error| panic!("{shown}: {error}"));
    }
}
