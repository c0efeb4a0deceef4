//! Which tensors a model consists of, known from its shape alone.

use crate::config::ModelConfig;

impl ModelConfig {
    /// Hub name and shape of every tensor of the model, without building it.
    #[must_use]
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = List::default();
        self.vision_tensors(&mut list);
        let (text, head) = (&self.text, self.head_width());
        let (width, inner, keys) = (text.hidden_size, text.intermediate_size, text.num_key_value_heads * head);
        list.add("model.embed_tokens.weight", &[text.vocab_size, width]);
        for index in 0..text.num_hidden_layers {
            let layer = format!("model.layers.{index}");
            for norm in ["input_layernorm", "post_attention_layernorm"] {
                list.add(&format!("{layer}.{norm}.weight"), &[width]);
            }
            for (name, output) in [("q_proj", width), ("k_proj", keys), ("v_proj", keys)] {
                list.linear(&format!("{layer}.self_attn.{name}"), width, output, true);
            }
            list.linear(&format!("{layer}.self_attn.o_proj"), width, width, false);
            list.gated(&format!("{layer}.mlp"), width, inner, false);
        }
        list.add("model.norm.weight", &[width]);
        if !self.tie_word_embeddings {
            list.add("lm_head.weight", &[text.vocab_size, width]);
        }
        list.0
    }

    fn vision_tensors(&self, list: &mut List) {
        let c = &self.vision;
        let (width, joined) = (c.hidden_size, c.hidden_size * c.spatial_merge_size * c.spatial_merge_size);
        let kernel = [width, c.in_chans, c.temporal_patch_size, c.patch_size, c.patch_size];
        list.add("visual.patch_embed.proj.weight", &kernel);
        for index in 0..c.depth {
            let block = format!("visual.blocks.{index}");
            for norm in ["norm1", "norm2"] {
                list.add(&format!("{block}.{norm}.weight"), &[width]);
            }
            list.linear(&format!("{block}.attn.qkv"), width, 3 * width, true);
            list.linear(&format!("{block}.attn.proj"), width, width, true);
            list.gated(&format!("{block}.mlp"), width, c.intermediate_size, true);
        }
        list.add("visual.merger.ln_q.weight", &[width]);
        list.linear("visual.merger.mlp.0", joined, joined, true);
        list.linear("visual.merger.mlp.2", joined, c.out_hidden_size, true);
    }
}

#[derive(Default)]
struct List(Vec<(String, Vec<usize>)>);

impl List {
    fn add(&mut self, name: &str, shape: &[usize]) {
        self.0.push((name.to_owned(), shape.to_vec()));
    }

    fn linear(&mut self, name: &str, input: usize, output: usize, bias: bool) {
        self.add(&format!("{name}.weight"), &[output, input]);
        if bias {
            self.add(&format!("{name}.bias"), &[output]);
        }
    }

    fn gated(&mut self, name: &str, width: usize, inner: usize, bias: bool) {
        self.linear(&format!("{name}.gate_proj"), width, inner, bias);
        self.linear(&format!("{name}.up_proj"), width, inner, bias);
        self.linear(&format!("{name}.down_proj"), inner, width, bias);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::tensor::{Device, TensorData};

    use crate::weights::{Init, SeededInit, WeightSource};
    use crate::{ModelConfig, ModelError, QwenVl};

    /// Remembers what a model asks for.
    struct Asked(SeededInit, Vec<(String, Vec<usize>)>);

    impl WeightSource for Asked {
        fn take(&mut self, name: &str, shape: &[usize], init: Init) -> Result<TensorData, ModelError> {
            self.1.push((name.to_owned(), shape.to_vec()));
            self.0.take(name, shape, init)
        }
    }

    /// The list is what building a model really asks for, tied and not.
    #[test]
    fn the_inventory_is_what_is_built() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/checkpoints/tiny-tied-f32-saved");
        let config = ModelConfig::from_folder(&folder).expect("a checkpoint");
        for tie_word_embeddings in [true, false] {
            let config = ModelConfig { tie_word_embeddings, ..config.clone() };
            let mut asked = Asked(SeededInit { seed: 1 }, Vec::new());
            QwenVl::build(&config, &mut asked, &Device::flex()).expect("a model");
            let (mut asked, mut listed) = (asked.1, config.tensors());
            asked.sort();
            listed.sort();
            assert_eq!(asked, listed);
        }
    }
}
